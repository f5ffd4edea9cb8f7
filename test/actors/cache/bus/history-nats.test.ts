import { cp, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Bus, type BusPosition, connectNats, type HeadedTransport, type RecallingBus } from "../../../../transport/index.js";
import { encodeMessage, type Log, silentLog, UnfitStreamError } from "../../../../core/index.js";
import { jetStreamConfig, natsBusSetup, type NatsBusSetup } from "../../../support/nats-buses.js";
import { type BusNode, busPace, HeardBus } from "../../../../testing/suites/bus.js";
import { until } from "../../../support/until.js";
import { createJetStreamBus } from "../../../../actors/cache/bus/stream-bus.js";

let setup: NatsBusSetup;
let raw: HeadedTransport;
let historyMs: number | undefined;
let pace: { readonly heartbeatIntervalMs: number; readonly heartbeatTimeoutMs: number };
let warned: { readonly err?: unknown }[];
/** Selects the repeated messages that the buses opened next lose. */
let loses: (subject: string) => boolean;
const open: BusNode[] = [];

beforeEach(async () => {
  historyMs = undefined;
  pace = busPace;
  warned = [];
  const log: Log = { ...silentLog, warn: (facts: unknown) => void warned.push(facts as { err?: unknown }) };
  loses = () => false;
  setup = await natsBusSetup(jetStreamConfig(), (transport, prefix) =>
    createJetStreamBus({ transport: forgetful(transport), prefix, historyMs, ...pace, log }),
  );
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

/** `transport` with a route on which repeated messages are lost while the link stands. */
function forgetful(transport: HeadedTransport): HeadedTransport {
  const isLost = loses;
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
    subscribe: (subject, handler, options) =>
      transport.subscribe(subject, (message) => (isLost(message.subject) ? undefined : handler(message)), options),
    onStatus: (listener) => transport.onStatus(listener),
    flush: () => transport.flush(),
    close: () => transport.close(),
  };
}

async function make() {
  const node = await setup.open();
  open.push(node);
  return { ...node, heard: new HeardBus(node.bus) };
}

async function follow(from?: BusPosition) {
  const node = await make();
  await node.bus.follow(from);
  return node;
}

/** The position from which another bus can continue. */
function positionOf({ heard }: { heard: HeardBus }): BusPosition {
  const last = heard.events.findLast((event) => event.type !== "cut");
  if (last === undefined) return expect.unreachable("no event was delivered");
  return last.version;
}

async function leave(node: BusNode): Promise<void> {
  open.splice(open.indexOf(node), 1);
  await node.bus.close();
  await node.close();
}

async function publishAll(bus: Bus, tags: readonly string[]): Promise<void> {
  await Promise.all(tags.map((tag, n) => bus.publish(tag, `${tag}#${n}`)));
}

const range = (count: number, from = 0) => Array.from({ length: count }, (_, n) => `t:${from + n}`);
const epochOf = ({ bus }: { bus: Bus }) => (bus.state.type === "following" ? bus.state.epoch : "");

describe("a kept position", () => {
  test("a bus that continues from it gets all missed invalidations, once a tag and in order, without a reset", async () => {
    const [away, staying] = [await follow(), await follow()];
    await away.bus.publish("seen", "0");
    const kept = positionOf(away);
    await leave(away);
    await publishAll(staying.bus, ["a", "b", "c"]);
    await staying.bus.publish("a", "again");
    const back = await follow(kept);
    expect(back.heard.tags).toEqual(["b", "c", "a"]);
    expect(back.heard.count("reset")).toBe(0);
    expect(epochOf(back)).toBe(kept.epoch);
  });

  test("thousands of invalidations are replayed while more are published", async () => {
    const [away, staying] = [await follow(), await follow()];
    const kept = positionOf(away);
    await leave(away);
    await publishAll(staying.bus, range(3_000));
    const more = publishAll(staying.bus, range(500, 3_000));
    const back = await follow(kept);
    await more;
    for (const { heard } of [back, staying]) await heard.until(({ tags }) => tags.length >= 3_500);
    expect(back.heard.tags).toEqual(staying.heard.tags);
    expect(back.heard.count("reset")).toBe(0);
  });

  test("a position older than the stream's history is a reset", async () => {
    const node = await follow();
    const kept = positionOf(node);
    const back = await follow({ ...kept, time: kept.time - 7 * 24 * 3_600_000 });
    expect(back.heard.events[0]).toMatchObject({ type: "reset" });
    expect(epochOf(back)).toBe(kept.epoch);
  });

  test("a position of another history is a reset", async () => {
    const kept = positionOf(await follow());
    const back = await follow({ ...kept, epoch: "another" });
    expect(back.heard.events[0]).toMatchObject({ type: "reset", version: { epoch: kept.epoch } });
  });

  test("a position that the stream has not reached begins another history, for all nodes", async () => {
    const staying = await follow();
    const kept = positionOf(staying);
    const back = await follow({ ...kept, sequence: kept.sequence + 1_000 });
    expect(back.heard.events[0]).toMatchObject({ type: "reset" });
    expect(epochOf(back)).not.toBe(kept.epoch);
    await staying.heard.until(() => epochOf(staying) === epochOf(back));
    expect(staying.heard.count("reset")).toBe(2);
  });
});

describe("a gap while the link stands", () => {
  test("a lost message is fetched before later ones are delivered", async () => {
    let lost = 0;
    loses = (subject) => subject === "zooid.p.upd.tag.lost" && lost++ === 0;
    const node = await follow();
    loses = () => false;
    const other = await follow();
    const from = node.heard.count("reset");
    await publishAll(other.bus, ["before", "lost", "after"]);
    await node.heard.until(({ tags }) => tags.length === 3);
    expect(node.heard.tags).toEqual(["before", "lost", "after"]);
    expect(node.heard.count("reset")).toBe(from);
    expect(lost).toBe(1);
  });

  test("a lost last message is noticed by the next heartbeat", async () => {
    let lost = 0;
    loses = (subject) => subject === "zooid.p.upd.tag.lost" && lost++ === 0;
    const node = await follow();
    loses = () => false;
    const other = await follow();
    await other.bus.publish("lost", "1");
    await node.heard.until(({ tags }) => tags.includes("lost"));
    expect(lost).toBe(1);
  });
});

describe("a history that ends", () => {
  test("a broker that comes back empty begins another history, and all nodes get a reset", async () => {
    const nodes = [await follow(), await follow()];
    await publishAll((nodes[0] as (typeof nodes)[0]).bus, range(20));
    const kept = positionOf(nodes[0] as (typeof nodes)[0]);
    await setup.server.restart(jetStreamConfig("empty"));
    for (const node of nodes) {
      await node.heard.until(({ bus }) => bus.state.type === "following" && epochOf({ bus }) !== kept.epoch);
      expect(node.heard.count("reset")).toBe(2);
      expect(positionOf(node).sequence).toBeLessThan(kept.sequence);
    }
    const back = await follow(kept);
    expect(back.heard.events[0]).toMatchObject({ type: "reset" });
  });

  test("a publication in progress when the broker loses its data is published in the new history", async () => {
    const [one, two] = [await follow(), await follow()];
    const published = publishAll(one.bus, range(100));
    await setup.server.restart(jetStreamConfig("empty"));
    await published;
    await two.heard.until(() => two.bus.state.type === "following");
    expect(epochOf(one)).toBe(epochOf(two));
  });

  test.each(["while nodes stay", "after one that was away"])(
    "a broker restored from an older copy begins another history: %s",
    async (when) => {
      const node = await follow();
      const [data, copy] = [join(setup.server.folder, "data"), join(setup.server.folder, "copy")];
      await publishAll(node.bus, range(10));
      await setup.server.kill("SIGTERM");
      await cp(data, copy, { recursive: true });
      const again = node.heard.count("following") + 1;
      await setup.server.restart();
      await node.heard.until((heard) => heard.count("following") === again);
      await publishAll(node.bus, range(10, 10));
      const kept = positionOf(node);
      if (when !== "while nodes stay") await leave(node);
      await setup.server.kill();
      await rm(data, { recursive: true });
      await cp(copy, data, { recursive: true });
      await setup.server.restart();
      const back = when === "while nodes stay" ? node : await follow(kept);
      await back.heard.until(({ bus }) => bus.state.type === "following" && epochOf({ bus }) !== kept.epoch);
      expect(back.heard.events.findLast(({ type }) => type === "reset")).toMatchObject({ version: { epoch: epochOf(back) } });
      const fresh = await follow();
      expect(epochOf(fresh)).toBe(epochOf(back));
    },
  );

  test("a restored history that has passed a kept position meanwhile is distinguished from the kept one", async () => {
    const node = await follow();
    const [data, copy] = [join(setup.server.folder, "data"), join(setup.server.folder, "copy")];
    await setup.server.kill("SIGTERM");
    await cp(data, copy, { recursive: true });
    const again = node.heard.count("following") + 1;
    await setup.server.restart();
    await node.heard.until((heard) => heard.count("following") === again);
    await publishAll(node.bus, range(100));
    const kept = positionOf(node);
    await leave(node);
    await setup.server.kill();
    await rm(data, { recursive: true });
    await cp(copy, data, { recursive: true });
    await setup.server.restart();
    const other = await follow();
    expect(epochOf(other)).toBe(kept.epoch);
    const later = kept.time + 2.5 * busPace.heartbeatTimeoutMs;
    await other.heard.until(() => positionOf(other).time > later);
    await publishAll(other.bus, range(200, 100));
    expect(positionOf(other).sequence).toBeGreaterThan(kept.sequence);
    const back = await follow(kept);
    expect(back.heard.events[0]).toMatchObject({ type: "reset" });
    expect(epochOf(back)).not.toBe(kept.epoch);
    await other.heard.until(() => epochOf(other) === epochOf(back));
  });

  test("a kept position of any age in a history that went on raises no doubt", async () => {
    const [away, other] = [await follow(), await follow()];
    await publishAll(away.bus, range(10));
    const kept = positionOf(away);
    await leave(away);
    await other.heard.until(() => positionOf(other).time > kept.time + 2.5 * busPace.heartbeatTimeoutMs);
    await publishAll(other.bus, ["t:3", "new"]);
    const back = await follow(kept);
    expect(back.heard.tags).toEqual(["t:3", "new"]);
    expect(back.heard.count("reset")).toBe(0);
  });

  test("a stream that is deleted while links stand is made again, as another history", async () => {
    const nodes = [await follow(), await follow()];
    const [one, two] = nodes as [(typeof nodes)[0], (typeof nodes)[0]];
    await publishAll(one.bus, range(50));
    const before = epochOf(one);
    await raw.request("$JS.API.STREAM.DELETE.ZOOID_p", new Uint8Array(0), { timeoutMs: 5_000 });
    await one.bus.publish("after", "after");
    for (const node of nodes) await node.heard.until(({ bus }) => bus.state.type === "following" && epochOf({ bus }) !== before);
    await two.bus.publish("last", "last");
    await one.heard.until(({ tags }) => tags.includes("last"));
    expect(epochOf(one)).toBe(epochOf(two));
  });

  test("the history keeps its name when the stream has lost its first messages", async () => {
    historyMs = 4_500;
    pace = { heartbeatIntervalMs: 60, heartbeatTimeoutMs: 200 };
    const node = await follow();
    const began = positionOf(node);
    await node.heard.until(({ events }) =>
      events.some((event) => event.type === "heartbeat" && event.version.time > began.time + 1.6 * 4_500),
    );
    const fresh = await follow();
    expect(epochOf(fresh)).toBe(began.epoch);
    expect(node.heard.count("reset")).toBe(1);
  });
});

describe("messages from outside", () => {
  const append = (subject: string, payload: Uint8Array) => raw.request(`zooid.p.inv.${subject}`, payload, { timeoutMs: 5_000 });

  test("every message on the subject of a tag is an invalidation of that tag, and of no other", async () => {
    const node = await follow();
    const { sequence } = positionOf(node);
    const { epoch } = positionOf(node);
    const payloads = [
      Buffer.from("\u00c1 not"),
      encodeMessage([1, "invalidate", "e", -1, "id", "tag"]),
      encodeMessage([1, "invalidate", epoch, 2 ** 53 - 2, "id", ""]),
      encodeMessage([1, "beat", epoch, 2 ** 53 - 2]),
      encodeMessage([1, "epoch", "another"]),
      encodeMessage([2, "something", "of", "a later version"]),
      encodeMessage({ a: 1 }),
      new Uint8Array(0),
    ];
    for (const payload of payloads) await append("tag.x.y-z", payload);
    await node.bus.publish("after", "1");
    expect(node.heard.tags).toEqual([...payloads.map(() => "x:y.z"), "after"]);
    expect(node.heard.count("reset")).toBe(1);
    expect(positionOf(node).sequence).toBeGreaterThanOrEqual(sequence + payloads.length + 1);
    expect(epochOf(node)).toBe(epoch);
  });

  test("a heartbeat with a huge number or of another version, and a message on an unknown subject, change nothing", async () => {
    const nodes = [await follow(), await follow()];
    const [node] = nodes as [(typeof nodes)[0]];
    const { epoch } = positionOf(node);
    const huge = 2 ** 53 - 2;
    for (const word of [[1, "beat", epoch, huge], [1, "beat", "another", huge], [2, "beat", 1], ["x"]])
      await append("beat", encodeMessage(word));
    for (const subject of ["tag", "tag.=zz", "tag.A~b", "other.x"])
      await append(subject, encodeMessage([1, "invalidate", epoch, 1, "id", ""]));
    await node.bus.publish("after", "1");
    for (const each of nodes) {
      await each.heard.until(({ tags }) => tags.length === 1);
      expect(each.heard.tags).toEqual(["after"]);
      expect([each.heard.count("reset"), epochOf(each)]).toEqual([1, epoch]);
    }
  });

  test("headers that a publisher writes do not replace the broker's", async () => {
    const node = await follow();
    const { time } = positionOf(node);
    const headers = {
      "Nats-Sequence": "9000000",
      "Nats-Stream": "ZOOID_other",
      "Nats-Subject": "zooid.p.inv.tag.=",
      "Nats-Time-Stamp": new Date(time + 24 * 3_600_000).toISOString(),
    };
    await raw.request("zooid.p.inv.tag.x", new Uint8Array(0), { timeoutMs: 5_000, headers });
    const { sequence } = await node.bus.publish("after", "1");
    expect(node.heard.tags).toEqual(["x", "after"]);
    expect(sequence).toBeLessThan(9_000_000);
    expect(positionOf(node).time).toBeLessThan(time + 3_600_000);
    expect(node.heard.count("reset")).toBe(1);
  });

  test("a record of a later version names the history too, and is not overwritten", async () => {
    const node = await follow();
    const before = epochOf(node);
    const record = encodeMessage([2, "epoch", "of a later version", 5]);
    await append("epoch", record);
    await node.heard.until(() => epochOf(node) !== before && epochOf(node) !== "");
    const other = await follow();
    expect(epochOf(other)).toBe(epochOf(node));
    expect(node.heard.count("reset")).toBe(2);
    const held = await raw.request("$JS.API.STREAM.MSG.GET.ZOOID_p", Buffer.from(JSON.stringify({ last_by_subj: "zooid.p.inv.epoch" })), {
      timeoutMs: 5_000,
    });
    expect(Buffer.from(JSON.parse(Buffer.from(held).toString()).message.data, "base64")).toEqual(Buffer.from(record));
  });

  test("a second copy of a publication gets the version of the first", async () => {
    const { bus } = await follow();
    expect(await bus.publish("a", "same")).toEqual(await bus.publish("a", "same"));
  });

  const ours = {
    name: "ZOOID_p",
    subjects: ["zooid.p.inv.>"],
    retention: "limits",
    storage: "file",
    num_replicas: 1,
    discard: "new",
    max_msgs_per_subject: 1,
    republish: { src: "zooid.p.inv.>", dest: "zooid.p.upd.>" },
  };
  const ask = async (call: string, body?: unknown) => {
    const payload = body === undefined ? new Uint8Array(0) : Buffer.from(JSON.stringify(body));
    return JSON.parse(Buffer.from(await raw.request(`$JS.API.STREAM.${call}.ZOOID_p`, payload, { timeoutMs: 5_000 })).toString());
  };

  test("a stream that another client made is used as it is, and not changed", async () => {
    const config = { ...ours, discard: "old", max_msgs_per_subject: -1, max_age: 24 * 3_600_000 * 1_000_000, description: "ours" };
    const before = (await ask("CREATE", config)).config;
    const node = await follow();
    await node.bus.publish("a", "1");
    expect(node.heard.tags).toEqual(["a"]);
    expect((await ask("INFO")).config).toEqual(before);
    expect((node.bus as RecallingBus).recallAgeMsMax).toBeLessThan(24 * 3_600_000);
  });

  test.each([
    ["max_age", { max_age: 5_000 * 1_000_000, duplicate_window: 1_000 * 1_000_000 }],
    ["discard", { discard: "old", max_bytes: 1_000_000 }],
    ["republish", { republish: undefined }],
    ["subjects", { subjects: ["zooid.p.inv.>", "zooid.p.more"] }],
    ["retention", { retention: "interest" }],
    ["allow_rollup_hdrs", { allow_rollup_hdrs: true }],
  ])(
    "a stream whose %s would lose invalidations is not used nor changed, the log says what to change, and once it is gone the node follows",
    async (setting, changes) => {
      const before = (await ask("CREATE", { ...ours, ...changes })).config;
      const node = await make();
      const followed = node.bus.follow(undefined);
      await until(() => warned.some(({ err }) => err instanceof UnfitStreamError && err.setting === setting));
      expect(node.bus.state.type).not.toBe("following");
      expect((await ask("INFO")).config).toEqual(before);
      // A nats-server that is asked to delete a stream and to make it anew at once may keep neither.
      await setup.server.restart(jetStreamConfig("empty"));
      await followed;
    },
  );

  test("a broker without JetStream is tried again until it has it", async () => {
    const another = await natsBusSetup("", (transport, prefix) => createJetStreamBus({ transport, prefix, ...busPace }));
    const node = await another.open();
    const followed = node.bus.follow(undefined);
    const published = node.bus.publish("a", "1");
    await another.server.restart(jetStreamConfig());
    await followed;
    expect(await published).toMatchObject({ sequence: expect.any(Number) });
    await node.bus.close();
    await node.close();
    await another.close();
  });

  test("prefixes that are no names are InvalidOptionError", () => {
    for (const prefix of ["", "a.b", "a/b", "a b", "*", "x".repeat(65)]) {
      expect(() => createJetStreamBus({ transport: raw, prefix })).toThrow(expect.objectContaining({ code: "ZOOID_INVALID_OPTION" }));
    }
  });
});
