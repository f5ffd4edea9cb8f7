import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { connectNats, type Transport } from "../../../../transport/index.js";
import { tagTokens } from "../../../../transport/jetstream/messages.js";
import { encodeMessage } from "../../../../core/index.js";
import { natsBusSetup, type NatsBusSetup } from "../../../support/nats-buses.js";
import { type BusNode, busPace, HeardBus } from "../../../../testing/suites/bus.js";
import { soundKinds } from "../../../../transport/nats/plain-words.js";
import { createPlainBus } from "../../../../actors/cache/bus/plain-bus.js";

let setup: NatsBusSetup;
/** Sends the messages of publishers that do not exist. */
let raw: Transport;
/** Runs when a node has subscribed and is about to say hello. */
let beforeHello: () => Promise<void>;
const open: BusNode[] = [];

beforeEach(async () => {
  beforeHello = async () => undefined;
  setup = await natsBusSetup("", (transport, prefix) => createPlainBus({ transport: late(transport), prefix, ...busPace }));
  raw = await connectNats({ servers: setup.server.url });
});
afterEach(async () => {
  for (const node of open.splice(0)) {
    await node.bus.close();
    await node.close();
  }
  await raw.close();
  await setup.close();
});

function late(transport: Transport): Transport {
  return {
    kind: transport.kind,
    payloadBytesMax: transport.payloadBytesMax,
    get status() {
      return transport.status;
    },
    get address() {
      return transport.address;
    },
    publish: (subject, payload) => transport.publish(subject, payload),
    request: (subject, payload, options) => transport.request(subject, payload, options),
    subscribe: (subject, handler, options) => transport.subscribe(subject, handler, options),
    onStatus: (listener) => transport.onStatus(listener),
    flush: async () => {
      await transport.flush();
      await beforeHello();
    },
    close: () => transport.close(),
  };
}

async function follow() {
  const node = await setup.open();
  open.push(node);
  const heard = new HeardBus(node.bus);
  await node.bus.follow(undefined);
  return { ...node, heard };
}

function say(path: string, ...word: readonly unknown[]): void {
  raw.publish(`zooid.p.invalidations.${path}`, encodeMessage(word));
}
const invalidates = (number: number, tag: string) => say(tagTokens(tag), 2, "other", number, `id-${number}`);

describe("numbers of a publisher", () => {
  test("all publications are delivered, a copy once more, and heartbeats with the same number are no reset", async () => {
    const { heard } = await follow();
    say("hello", 2, "other", 0, "x");
    for (const number of [1, 2, 2, 1, 3]) invalidates(number, `t:${number}`);
    say("beat", 2, "other", 3, "");
    await heard.until(({ tags }) => tags.includes("t:3"));
    say("bye", 2, "other", 3, "");
    invalidates(4, "last");
    await heard.until(({ tags }) => tags.includes("last"));
    expect(heard.tags).toEqual(["t:1", "t:2", "t:2", "t:1", "t:3", "last"]);
    expect(heard.count("reset")).toBe(1);
  });

  test("a heartbeat with a higher number than was received is a reset, a jump before it is none", async () => {
    const { heard } = await follow();
    say("hello", 2, "other", 0, "x");
    invalidates(1, "a");
    invalidates(3, "c");
    await heard.until(({ tags }) => tags.includes("c"));
    expect(heard.count("reset")).toBe(1);
    say("beat", 2, "other", 3, "");
    await heard.until((heard) => heard.count("reset") === 2);
    invalidates(4, "d");
    say("beat", 2, "other", 5, "");
    await heard.until((heard) => heard.count("reset") === 3);
    expect(heard.tags).toEqual(["a", "c", "d"]);
  });

  test("an unknown publisher that has published before is a reset, one that has not is none", async () => {
    const { heard } = await follow();
    say("beat", 2, "new", 0, "");
    say("beat", 2, "old", 7, "");
    await heard.until((heard) => heard.count("reset") === 2);
    expect(heard.count("reset")).toBe(2);
  });

  test("a publisher that falls silent is a reset, a publisher that says goodbye is none", async () => {
    const { heard, bus } = await follow();
    const since = bus.heardAt;
    say("beat", 2, "leaving", 0, "");
    say("bye", 2, "leaving", 0, "");
    await heard.until(() => bus.heardAt > since + 1.5 * busPace.heartbeatTimeoutMs);
    expect(heard.count("reset")).toBe(1);
    say("beat", 2, "dying", 0, "");
    await heard.until((heard) => heard.count("reset") === 2);
  });

  test("a goodbye with a higher number than was received is a reset", async () => {
    const { heard } = await follow();
    invalidates(1, "a");
    say("bye", 2, "other", 2, "");
    await heard.until((heard) => heard.count("reset") === 2);
  });

  test("publications on a link that breaks repeatedly are delivered in their order", async () => {
    const [one, two] = [await follow(), await follow()];
    const tags = Array.from({ length: 30 }, (_, n) => `t:${n}`);
    const published = Promise.all(tags.map((tag) => one.bus.publish(tag, tag)));
    one.link?.cut();
    one.link?.mend();
    await published;
    await two.heard.caughtUp(tags);
    expect(one.heard.tags).toEqual(tags);
    expect(two.heard.tags).toEqual(tags.filter((tag) => two.heard.tags.includes(tag)));
  });
});

test("no event is delivered before the node follows, even if messages arrive while it greets", async () => {
  beforeHello = async () => {
    invalidates(1, "early");
    await raw.flush();
  };
  const { heard, bus } = await follow();
  expect(heard.events.map(({ type }) => type)).toEqual(["reset", "following"]);
  beforeHello = async () => undefined;
  invalidates(2, "later");
  await heard.until(({ tags }) => tags.length === 1);
  expect(heard.tags).toEqual(["later"]);
  expect(heard.count("reset")).toBe(1);
  expect(bus.state.type).toBe("following");
});

describe("messages from outside", () => {
  test("a message that is not of the protocol changes nothing", async () => {
    const { heard, bus } = await follow();
    const before = bus.state;
    for (const word of [[], [2], [2, 3, 1, ""], [2, "x", "1", ""], [2, "x", 1, 3], ["2"]])
      for (const kind of soundKinds) say(kind, ...word);
    say("beat", 2, "x".repeat(10_000), 5, "");
    for (const subject of ["beat", "hello", "tag", "tag.=zz", "other"]) {
      raw.publish(`zooid.p.invalidations.${subject}`, Buffer.from([0xc1, 1, 2]));
      raw.publish(`zooid.p.invalidations.${subject}`, encodeMessage([2, "x", -1, "id"]));
    }
    say("other", 2, "x", 2 ** 53 - 2, "id");
    say("tag.=zz", 2, "x", 2 ** 53 - 2, "id");
    await raw.flush();
    await bus.publish("after", "1");
    expect(heard.tags).toEqual(["after"]);
    expect(bus.state).toMatchObject({ ...before, sequence: (before.type === "following" ? before.sequence : 0) + 1 });
  });

  test("a message of a node that uses one subject for all, as earlier versions do, is a reset", async () => {
    const { heard } = await follow();
    raw.publish("zooid.p.invalidations", encodeMessage([1, "invalidate", "earlier", 1, "id", "a"]));
    await heard.until((heard) => heard.count("reset") === 2);
    expect(heard.tags).toEqual([]);
  });

  test("every message on the subject of a tag is an invalidation of that tag, and of no other", async () => {
    const { heard } = await follow();
    for (const payload of [Buffer.from([0xc1, 1]), encodeMessage([2, "x", -1, "id"]), encodeMessage([3, "clear"])]) {
      raw.publish("zooid.p.invalidations.tag.a.b-c", payload);
    }
    await heard.until(({ tags }) => tags.length === 3);
    expect([new Set(heard.tags), heard.count("reset")]).toEqual([new Set(["a:b.c"]), 1]);
  });

  test("a heartbeat of a later version counts if its first fields are the same, else it changes nothing", async () => {
    const { heard, bus } = await follow();
    say("beat", 3, "later", 0, "x", "and more");
    invalidates(1, "a");
    say("beat", 3, "unlike");
    say("beat", 3, { publisher: "unlike" }, 5);
    await raw.flush();
    await bus.publish("after", "1");
    expect(heard.count("reset")).toBe(1);
    say("beat", 3, "later", 7, "x", "and more");
    await heard.until((heard) => heard.count("reset") === 2);
  });
});
