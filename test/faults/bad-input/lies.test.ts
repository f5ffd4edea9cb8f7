/** Well-formed but wrong messages of a server, and how a client takes each. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ObjectClient } from "../../../actors/client/object-client.js";
import { openObjectClient } from "../../../actors/client/object-client.js";
import type { ObjectClientOptions } from "../../../actors/client/options.js";
import type { UntypedSchema } from "../../../actors/protocol/schema.js";
import * as wire from "../../../actors/protocol/codec.js";
import { encodeMessage, encodeValue, limits, seededRandom, silentLog, type Tid, tidZero } from "../../../core/index.js";
import { type ServerWorld, serverWorld } from "../../support/server-world.js";
import { type Between, standBetween } from "./between.js";

let world: ServerWorld;
let between: Between;
let loud: string[];
const clients: ObjectClient[] = [];

beforeEach(async () => {
  world = await serverWorld();
  between = await standBetween(world);
  loud = [];
});

afterEach(() => {
  for (const client of clients.splice(0)) client.kill();
  expect(loud).toEqual([]);
});

const run = <T>(promise: Promise<T>): Promise<T> => world.clock.settle(promise, 60_000);

let seed = 3_000_000;

function opening(options: Partial<ObjectClientOptions<UntypedSchema>> = {}): Promise<ObjectClient> {
  const note = (_: object, message: string) => void loud.push(message);
  const log = { ...silentLog, error: note, fatal: note };
  const seams = { transport: between.connect(log), clock: world.clock, random: seededRandom(++seed), log };
  return openObjectClient({
    realm: "test",
    storage: "main",
    client: "victim",
    cache: undefined,
    waitTimeoutMs: 5_000,
    requestTimeoutMs: 1_000,
    ...seams,
    ...options,
  });
}

async function opened(options?: Partial<ObjectClientOptions<UntypedSchema>>): Promise<ObjectClient> {
  const client = await run(opening(options));
  clients.push(client);
  return client;
}

/** Replaces good answers to `operation` by what `lie` makes of them. */
function lieAbout<T>(operation: string, codec: wire.Codec<T>, lie: (truth: T) => T): void {
  between.answer = (asked, bytes) =>
    asked === operation && bytes[0] === 0 ? wire.writeAnswer(codec, lie(wire.readAnswer(codec, bytes))) : bytes;
}

const digest = "0123456789abcdef";
const malformed = (what: string) =>
  expect.objectContaining({ code: "ZOOID_MALFORMED_MESSAGE", facts: expect.objectContaining({ what }) as object });

async function listed(client: ObjectClient): Promise<string[]> {
  const { value } = await client.read(async (tx) => {
    const keys: string[] = [];
    for await (const [key] of tx.list("k")) keys.push(key);
    return keys;
  });
  return value;
}

describe("a listing", () => {
  const value = encodeValue(1);
  const row = (key: string) => ({ key, serial: tidZero, value, next: undefined });

  test.each([
    ["ends where it began, so that the listing would never end", (truth: object) => ({ ...truth, rows: [], end: "k" })],
    ["ends before it began", (truth: object) => ({ ...truth, rows: [], end: "a" })],
    ["ends after its range", (truth: object) => ({ ...truth, end: "z" })],
    ["has a row of another range", (truth: object) => ({ ...truth, rows: [row("z")], end: undefined })],
    ["has a row behind its end", (truth: object) => ({ ...truth, rows: [row("k5")], end: "k4" })],
    ["has rows in disorder", (truth: object) => ({ ...truth, rows: [row("k2"), row("k1")], end: undefined })],
    ["has a row twice", (truth: object) => ({ ...truth, rows: [row("k2"), row("k2")], end: undefined })],
  ])("that %s is malformed", async (_, lie) => {
    const client = await opened();
    await run(client.put("k3", 1));
    lieAbout("list", wire.listAnswer, lie as never);
    await expect(run(listed(client))).rejects.toEqual(malformed("list answer"));
    between.changeNothing();
    expect(await run(listed(client))).toEqual(["k3"]);
  });
});

describe("a load", () => {
  test.each([
    ["whose answer holds no revision", (truth: object) => ({ ...truth, revisions: [] }), "load answer"],
    [
      "of a revision newer than the snapshot",
      (truth: object) => ({ ...truth, revisions: [{ serial: Number.MAX_SAFE_INTEGER, value: undefined, next: undefined }] }),
      "answer to a load",
    ],
  ])("%s is malformed", async (_, lie, what) => {
    const client = await opened();
    lieAbout("load", wire.loadAnswer, lie as never);
    await expect(run(client.get("k"))).rejects.toEqual(malformed(what));
    between.changeNothing();
    expect(await run(client.get("k"))).toBeUndefined();
  });

  test("of a value that cannot be decoded is InvalidValueError for its reader", async () => {
    const client = await opened();
    lieAbout("load", wire.loadAnswer, (truth) => ({
      ...truth,
      revisions: [{ serial: tidZero, value: Buffer.from([0xc1]), next: undefined }],
    }));
    await expect(run(client.get("k"))).rejects.toMatchObject({ code: "ZOOID_INVALID_VALUE" });
    between.changeNothing();
    expect(await run(client.get("k"))).toBeUndefined();
  });
});

describe("an invalidation", () => {
  test("that goes back in time is dropped, and the position stays", async () => {
    const client = await opened();
    const tid = await run(client.put("k", 1));
    const { position } = client.status();
    between.publish(
      // Encoded by hand: the codec refuses to write it, and so the client refuses to read it.
      encodeMessage(["i", world.server.instance, [[tid, tid - 1, digest, 1, ["k"]]]]),
    );
    await world.settled();
    expect(client.status()).toMatchObject({ position });
    expect(await run(client.get("k"))).toBe(1);
  });

  test("whose pages of keys never end is given up, and other invalidations go on", async () => {
    const client = await opened();
    const other = await opened({ client: "other" });
    const keys = Array.from({ length: limits.invalidationKeysMax }, (_, index) => `n${index}`);
    let pages = 0;
    let pagesMost = 0;
    between.answer = (operation, bytes) => {
      if (operation === "keys") {
        pagesMost = Math.max(pagesMost, ++pages);
        return wire.writeAnswer(wire.keysPage, { keys });
      }
      if (operation !== "log" || bytes[0] !== 0) return bytes;
      pages = 0;
      const page = wire.readAnswer(wire.logPage, bytes);
      return wire.writeAnswer(wire.logPage, { ...page, transactions: page.transactions.map((each) => ({ ...each, keys: undefined })) });
    };
    between.broadcast = (bytes) => (wire.broadcast.read(bytes).type === "heartbeat" ? [bytes] : []);
    const tid = await run(other.put("k", 1));
    await world.clock.advance(3_000);
    expect(client.status().position.tid).toBeLessThan(tid);
    // One page more than a transaction can have written.
    expect(pagesMost).toBe(limits.transactionKeysMax / limits.invalidationKeysMax + 1);
    between.changeNothing();
    await run(client.read((tx) => tx.get("k"), { after: tid }));
    expect(client.status().position.tid).toBe(tid);
  });
});

describe("a commit", () => {
  test.each([
    ["without content", () => new Uint8Array()],
    ["of no kind", () => Buffer.from([7, 7])],
    ["that is an error in rubbish", () => Buffer.from([1, 0xc1])],
    ["that is an error without a name", () => Buffer.concat([Buffer.from([1]), encodeMessage([null, {}])])],
    ["of another shape", () => wire.writeAnswer(wire.nothing, {})],
    [
      "that stands before its predecessor",
      (bytes: Uint8Array) => {
        const { tid, previous } = wire.readAnswer(wire.committed, bytes);
        return wire.writeAnswer(wire.committed, { tid: previous, previous: tid, digest });
      },
    ],
  ])("with an answer %s is settled: it resolves to the tid it has", async (_, lie) => {
    const client = await opened();
    await run(client.put("first", 0));
    between.answer = (operation, bytes) => (operation === "commit" ? lie(bytes) : bytes);
    const tid = await run(client.put("k", 1));
    expect(world.server.status("main").position.tid).toBe(tid);
    expect(world.server.status("main").counters).toMatchObject({ commits: 2 });
  });
});

describe("a registration", () => {
  test.each([0, -1, 0.5, 2 ** 53])("with a keep-alive every %d ms, which no timer supports, is malformed", async (keepAliveIntervalMs) => {
    between.answer = (operation, bytes) => {
      if (operation !== "register") return bytes;
      const truth = wire.readAnswer(wire.registered, bytes);
      return wire.writeAnswer(wire.registered, { ...truth, keepAliveIntervalMs });
    };
    await expect(run(opening())).rejects.toEqual(malformed("registered.keepAliveIntervalMs"));
  });
});

test("a heartbeat with a tid of the far future neither moves nor stops a client", async () => {
  const client = await opened();
  const { instance } = world.server;
  between.publish(
    wire.broadcast.write({
      type: "heartbeat",
      instance,
      startedAt: 0,
      links: 0,
      readOnly: false,
      role: "writer",
      position: { tid: Number.MAX_SAFE_INTEGER as Tid, digest },
    }),
  );
  await world.settled();
  const tid = await run(client.put("k", 1));
  expect(await run(client.get("k"))).toBe(1);
  expect(client.status().position.tid).toBe(tid);
});
