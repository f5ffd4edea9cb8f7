/** Every message of the protocols of storage servers, actors and nodes of a cache, with examples. */
import fc from "fast-check";
import * as nodes from "../../../actors/cache/admin/messages.js";
import * as actors from "../../../actors/protocol/actor-messages.js";
import * as storage from "../../../actors/protocol/codec.js";
import type { Codec } from "../../../actors/protocol/message.js";
import * as record from "../../../actors/record/frames.js";
import { asTag, asTid, encodeValue, rootTag, type Tag, type Tid, type Value } from "../../../core/index.js";

export const modules = { storage, actors, nodes, record };

export interface Example<T> {
  readonly codec: Codec<T>;
  readonly message: T;
  /** The array that `message` is on the wire. */
  readonly wire: unknown;
  readonly any: fc.Arbitrary<T>;
}

/** Erases the type of the message: the tests give each codec only messages of its own type. */
function example<T>(codec: Codec<T>, message: NoInfer<T>, wire: unknown, any: fc.Arbitrary<NoInfer<T>>): Example<unknown> {
  return { codec, message, wire, any };
}

const sessionSecret = "5e551011".repeat(6);
const clientSecret = "c11e2700".repeat(6);
const at = (number: number): Tid => asTid(1_800_000_000_000_000 + number);
const digest = "0123456789abcdef";
const position = { tid: at(7), digest };
const bytes = Buffer.from("value");

const anyTid = fc.maxSafeNat().map(asTid);
const anyDigest = fc.stringMatching(/^[0-9a-f]{16}$/);
const anyPosition = fc.record({ tid: anyTid, digest: anyDigest });
const anyId = fc.stringMatching(/^[\x21-\x7e]{1,40}$/);
const anySecret = fc.stringMatching(/^[\x21-\x7e]{24,60}$/);
const anyName = fc.stringMatching(/^[A-Za-z0-9_-]{1,20}$/);
const anyCount = fc.maxSafeNat();
const anyInterval = fc.integer({ min: 1 });
const anyText = fc.string({ unit: "grapheme", maxLength: 12 });
const anyKey = anyText.filter((text) => text.length > 0 && !text.includes("\0"));
const anyBound = anyText.filter((text) => !text.includes("\0"));
const anyKeys = fc.array(anyKey, { maxLength: 5 });
const anyBytes = fc.uint8Array({ maxLength: 12 }).map((array) => Buffer.from(array));
const anyRange = fc.record({ from: anyBound, to: orNone(anyBound) });
const anyRole = fc.constantFrom("reader" as const, "writer" as const, "takeover" as const);
const anyTag = fc.stringMatching(/^[\w.]{1,6}(:[\w.]{1,6}){0,3}$/).map(asTag);
const anyTagOrRoot = fc.oneof(anyTag, fc.constant(rootTag));
const anyRows = fc.integer({ min: 1, max: 100 });
const anyLink = fc
  .tuple(fc.maxSafeNat(), fc.integer({ min: 1, max: 1_000 }), anyDigest)
  .map(([tid, distance, digest]) => ({ previous: asTid(Math.max(0, tid - distance)), tid: asTid(Math.max(1, tid)), digest }));
const anyInvalidation = fc.tuple(anyLink, anyCount, orNone(anyKeys)).map(([link, keyCount, keys]) => ({ ...link, keyCount, keys }));
/** A JSON value. MessagePack has no negative zero among integers, so the value has none either. */
const anyValue = fc.jsonValue({ maxDepth: 3 }).map((value) => withoutNegativeZero(value) as Value);
const anyFacts = fc.dictionary(
  anyName.filter((name) => name !== "__proto__"),
  anyValue,
  { maxKeys: 4 },
);

function orNone<T>(any: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.option(any, { nil: undefined });
}

function withoutNegativeZero(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

const invalidation = { previous: at(6), tid: at(7), digest, keyCount: 2, keys: ["a", "b"] };
const invalidationWire = [at(6), at(7), digest, 2, ["a", "b"]];
const manyKeys = { previous: at(7), tid: at(8), digest, keyCount: 100_000, keys: undefined };
const status = { instance: "server-1", counters: { loads: 1 } } as unknown as storage.ServerStatus;

export const examples: Readonly<Record<string, Example<unknown>>> = {
  // ---- between clients and storage servers
  nothing: example(storage.nothing, {}, [], fc.constant({})),
  register: example(
    storage.register,
    { protocol: 1, client: "shop-1", readOnly: false, clientSecret, sessionSecret, oldestSnapshot: undefined },
    [1, "shop-1", false, clientSecret, sessionSecret, null],
    fc.record({
      protocol: fc.constant(storage.protocolVersion),
      client: anyName,
      readOnly: fc.boolean(),
      clientSecret: anySecret,
      sessionSecret: anySecret,
      oldestSnapshot: orNone(anyTid),
    }),
  ),
  registered: example(
    storage.registered,
    { instance: "server-1", links: 2, readOnly: true, position, heartbeatIntervalMs: 1_000, keepAliveIntervalMs: 10_000 },
    ["server-1", 2, true, at(7), digest, 1_000, 10_000],
    fc.record({
      instance: anyName,
      links: anyCount,
      readOnly: fc.boolean(),
      position: anyPosition,
      heartbeatIntervalMs: anyInterval,
      keepAliveIntervalMs: anyInterval,
    }),
  ),
  verify: example(
    storage.verify,
    { session: sessionSecret, position, asOf: { tid: at(9), digest } },
    [sessionSecret, at(7), digest, at(9), digest],
    fc.record({ session: anyId, position: anyPosition, asOf: anyPosition }),
  ),
  verdict: example(
    storage.verdict,
    { type: "otherHistory", position },
    ["otherHistory", at(7), digest],
    fc.record({
      type: fc.constantFrom("upToDate", "replay", "discard", "otherHistory", "lost", "behind"),
      position: anyPosition,
    }),
  ),
  alive: example(
    storage.alive,
    { session: sessionSecret, oldestSnapshot: at(3) },
    [sessionSecret, at(3)],
    fc.record({ session: anyId, oldestSnapshot: orNone(anyTid) }),
  ),
  aliveAnswer: example(storage.aliveAnswer, { position }, [at(7), digest], fc.record({ position: anyPosition })),
  session: example(storage.session, { session: "" }, [""], fc.record({ session: fc.oneof(anyId, fc.constant("")) })),
  challenge: example(storage.challenge, { nonce: "n-1" }, ["n-1"], fc.record({ nonce: anyId })),
  writer: example(
    storage.writer,
    { instance: "server-1", startedAt: 1_700_000_000_000, role: "takeover", position, proof: "ab12" },
    ["server-1", 1_700_000_000_000, "takeover", at(7), digest, "ab12"],
    fc.record({ instance: anyName, startedAt: anyCount, role: anyRole, position: anyPosition, proof: anyId }),
  ),
  storages: example(
    storage.storages,
    { realm: "main", storages: ["a", "b"] },
    ["main", ["a", "b"]],
    fc.record({ realm: anyName, storages: fc.array(anyName, { maxLength: 5 }) }),
  ),
  serverStatus: example(
    storage.serverStatus,
    status,
    [status],
    anyFacts.map((facts) => facts as unknown as storage.ServerStatus),
  ),
  committed: example(storage.committed, { tid: at(7), previous: at(6), digest }, [at(7), at(6), digest], anyLink),
  invalidation: example(storage.invalidation, invalidation, invalidationWire, anyInvalidation),
  logRequest: example(
    storage.logRequest,
    { session: sessionSecret, after: at(5) },
    [sessionSecret, at(5)],
    fc.record({ session: anyId, after: anyTid }),
  ),
  logPage: example(
    storage.logPage,
    { whole: true, transactions: [invalidation, manyKeys] },
    [true, [invalidationWire, [at(7), at(8), digest, 100_000, null]]],
    fc.record({ whole: fc.boolean(), transactions: fc.array(anyInvalidation, { maxLength: 3 }) }),
  ),
  keysRequest: example(
    storage.keysRequest,
    { session: sessionSecret, tid: at(8), from: 500 },
    [sessionSecret, at(8), 500],
    fc.record({ session: anyId, tid: anyTid, from: anyCount }),
  ),
  keysPage: example(storage.keysPage, { keys: ["a", "b"] }, [["a", "b"]], fc.record({ keys: anyKeys })),
  broadcast: example(
    storage.broadcast,
    { type: "heartbeat", instance: "server-1", startedAt: 1_700_000_000_000, links: 1, readOnly: false, role: "writer", position },
    ["h", "server-1", 1_700_000_000_000, 1, false, "writer", at(7), digest],
    fc.oneof(
      fc.record({
        type: fc.constant("invalidations" as const),
        instance: anyName,
        transactions: fc.array(anyInvalidation, { maxLength: 3 }),
      }),
      fc.record({
        type: fc.constant("heartbeat" as const),
        instance: anyName,
        startedAt: anyCount,
        links: anyCount,
        readOnly: fc.boolean(),
        role: anyRole,
        position: anyPosition,
      }),
      fc.record({ type: fc.constant("goodbye" as const), instance: anyName }),
    ),
  ),
  "broadcast of invalidations": example(
    storage.broadcast,
    { type: "invalidations", instance: "server-1", transactions: [invalidation] },
    ["i", "server-1", [invalidationWire]],
    fc.constant({ type: "invalidations" as const, instance: "server-1", transactions: [] }),
  ),
  "broadcast of a goodbye": example(
    storage.broadcast,
    { type: "goodbye", instance: "server-1" },
    ["g", "server-1"],
    fc.constant({ type: "goodbye" as const, instance: "server-1" }),
  ),
  load: example(
    storage.load,
    { session: sessionSecret, snapshot: at(7), keys: ["a", "b"] },
    [sessionSecret, at(7), ["a", "b"]],
    fc.record({ session: anyId, snapshot: anyTid, keys: anyKeys }),
  ),
  loadAnswer: example(
    storage.loadAnswer,
    {
      asOf: position,
      revisions: [
        { serial: at(1), value: bytes, next: at(2) },
        { serial: at(2), value: undefined, next: undefined },
      ],
    },
    [at(7), digest, [at(1), bytes, at(2), at(2), null, null]],
    fc.record({
      asOf: anyPosition,
      revisions: fc.array(fc.record({ serial: anyTid, value: orNone(anyBytes), next: orNone(anyTid) }), { maxLength: 3 }),
    }),
  ),
  list: example(
    storage.list,
    { session: sessionSecret, snapshot: at(7), range: { from: "a", to: undefined }, rowsMax: 50 },
    [sessionSecret, at(7), "a", null, 50],
    fc.record({ session: anyId, snapshot: anyTid, range: anyRange, rowsMax: anyCount }),
  ),
  listAnswer: example(
    storage.listAnswer,
    { asOf: position, rows: [{ key: "a", serial: at(1), value: bytes, next: at(2) }], end: "b" },
    [at(7), digest, ["a", at(1), bytes, at(2)], "b"],
    fc.record({
      asOf: anyPosition,
      rows: fc.array(fc.record({ key: anyKey, serial: anyTid, value: anyBytes, next: orNone(anyTid) }), { maxLength: 3 }),
      end: orNone(anyBound),
    }),
  ),
  commit: example(
    storage.commit,
    {
      session: sessionSecret,
      id: "owner-1a",
      snapshot: at(7),
      serializable: true,
      reads: ["a"],
      ranges: [{ from: "r", to: undefined }],
      writes: [
        { key: "b", value: bytes },
        { key: "c", value: undefined },
      ],
    },
    [sessionSecret, "owner-1a", at(7), true, ["a"], ["r", null], ["b", bytes, "c", null]],
    fc.record({
      session: anyId,
      id: anyId,
      snapshot: anyTid,
      serializable: fc.boolean(),
      reads: anyKeys,
      ranges: fc.array(anyRange, { maxLength: 3 }),
      writes: fc.uniqueArray(fc.record({ key: anyKey, value: orNone(anyBytes) }), { selector: ({ key }) => key, maxLength: 3 }),
    }),
  ),
  finish: example(
    storage.finish,
    { session: sessionSecret, id: "owner-1a" },
    [sessionSecret, "owner-1a"],
    fc.record({ session: anyId, id: anyId }),
  ),
  settle: example(
    storage.settle,
    { session: sessionSecret, id: "owner-1a", snapshot: at(7) },
    [sessionSecret, "owner-1a", at(7)],
    fc.record({ session: anyId, id: anyId, snapshot: anyTid }),
  ),
  settled: example(
    storage.settled,
    { committed: { tid: at(7), previous: at(6), digest } },
    [[at(7), at(6), digest]],
    fc.record({ committed: orNone(anyLink) }),
  ),

  // ---- between processes with actors
  actorRequest: example(
    actors.actorRequest,
    {
      type: "take",
      request: "r-1a",
      isRepeat: true,
      known: { registration: "r-0", taken: 7 },
      event: { type: "OPEN", by: "shop-1" },
      until: { state: "open" },
      renewedWithinMs: 30_000,
    },
    ["take", "r-1a", true, "r-0", 7, { type: "OPEN", by: "shop-1" }, { state: "open" }, 30_000],
    fc.oneof(
      fc.record({
        type: fc.constant("take" as const),
        request: anyId,
        isRepeat: fc.boolean(),
        known: fc.record({ registration: anyText, taken: anyCount }),
        event: orNone(anyFacts.map((facts) => ({ ...facts, type: "OPEN" }))),
        until: orNone(fc.oneof(fc.record({ state: anyText }), fc.record({ tag: anyText }))),
        renewedWithinMs: anyCount,
      }),
      fc.record({ type: fc.constant("alive" as const), requests: fc.array(anyId, { maxLength: 3 }) }),
      fc.record({ type: fc.constantFrom("view" as const, "watch" as const, "machine" as const) }),
    ),
  ),
  "actorRequest for a view": example(actors.actorRequest, { type: "view" }, ["view"], fc.constant({ type: "view" as const })),
  actorView: example(
    actors.actorView,
    {
      path: "client/shop-1/connection",
      machine: "connection",
      status: "active",
      value: { linked: "connected" },
      tags: ["usable"],
      output: undefined,
      context: { failures: 0 },
      failure: null,
      failures: 2,
      at: 1_700_000_000_000,
      registration: "r-1",
      version: 4,
    },
    [
      "client/shop-1/connection",
      "connection",
      "active",
      { linked: "connected" },
      ["usable"],
      null,
      { failures: 0 },
      null,
      2,
      1_700_000_000_000,
      "r-1",
      4,
    ],
    fc.record({
      path: anyText,
      machine: anyText,
      status: fc.constantFrom("active" as const, "done" as const, "error" as const, "stopped" as const, "restarting" as const),
      value: anyValue,
      tags: fc.array(anyText, { maxLength: 3 }),
      output: orNone(anyValue),
      context: anyFacts,
      failure: fc.option(anyText),
      failures: anyCount,
      at: anyCount,
      registration: anyId,
      version: anyCount,
    }),
  ),
  takenAnswer: example(
    actors.takenAnswer,
    { registration: "r-1", taken: 8, view: undefined },
    ["r-1", 8, null],
    fc.record({ registration: anyId, taken: anyCount, view: orNone(anyBytes) }),
  ),
  heartbeatAnswer: example(
    actors.heartbeatAnswer,
    { registration: "r-1", waiting: ["r-1a"] },
    ["r-1", ["r-1a"]],
    fc.record({ registration: anyId, waiting: fc.array(anyId, { maxLength: 3 }) }),
  ),
  listQuestion: example(actors.listQuestion, "to-1", ["to-1"], anyName),
  machineDescription: example(actors.machineDescription, { id: "gate" }, { id: "gate" }, anyValue),

  // ---- the record
  recordQuestion: example(
    record.recordQuestion,
    { type: "snapshot", watcher: "w", instance: "i" },
    ["s", "w", "i"],
    fc.record({ type: fc.constant("snapshot" as const), watcher: anyName, instance: orNone(anyName) }),
  ),
  recordFrame: example(
    record.recordFrame,
    { format: 1, instance: "i", number: 3, at: 5, items: [{ type: "event", ms: 1, actor: 2, from: undefined, event: "OPEN" }] },
    [1, "i", 3, 5, [["e", 1, 2, null, "OPEN"]]],
    fc.record({
      format: fc.constant(1),
      instance: anyName,
      number: anyCount,
      at: anyCount,
      items: fc.array(
        fc.oneof(
          fc.record({ type: fc.constant("begin" as const) }),
          fc.record({ type: fc.constant("machine" as const), hash: anyId, definition: anyValue }),
          fc.record({ type: fc.constant("state" as const), ms: anyCount, actor: anyCount, value: anyValue, shown: orNone(anyFacts) }),
          fc.record({
            type: fc.constant("step" as const),
            ms: anyCount,
            actor: anyCount,
            event: anyText,
            guards: fc.array(anyText, { maxLength: 3 }),
            actions: fc.array(anyText, { maxLength: 3 }),
          }),
        ),
        { maxLength: 4 },
      ),
    }),
  ),

  // ---- between nodes of a cache and processes that observe them
  nodesAsked: example(nodes.nodesAsked, "to-1", ["to-1"], anyName),
  nodeName: example(nodes.nodeName, { node: "a", instance: "i-1" }, ["a", "i-1"], fc.record({ node: anyName, instance: anyName })),
  nodeStats: example(
    nodes.nodeStats,
    { uptimeMs: 5, tiers: ["memory", "lmdb"], bus: "nats", stats: { hits: 1 } },
    [5, ["memory", "lmdb"], "nats", encodeValue({ hits: 1 })],
    fc.record({ uptimeMs: anyCount, tiers: fc.array(anyName, { maxLength: 4 }), bus: anyName, stats: anyFacts }),
  ),
  keysAsked: example(
    nodes.keysAsked,
    { beginning: "", after: "k", rowsMax: 10 },
    ["", "k", 10],
    fc.record({ beginning: anyText, after: orNone(anyText), rowsMax: anyRows }),
  ),
  "keysPage of a node": example(
    nodes.keysPage,
    { rows: [{ key: "k", tier: "memory", tags: [asTag("a:b")], ageMs: 3, leftMs: undefined }], next: "k" },
    [[["k", "memory", ["a:b"], 3, null]], "k"],
    fc.record({
      rows: fc.array(
        fc.record({
          key: anyText,
          tier: anyName,
          tags: fc.array(anyTagOrRoot, { maxLength: 3 }),
          ageMs: anyCount,
          leftMs: orNone(anyCount),
        }),
        { maxLength: 3 },
      ),
      next: orNone(anyText),
    }),
  ),
  tagsAsked: example(
    nodes.tagsAsked,
    { below: rootTag, after: asTag("a:b"), rowsMax: 10 },
    ["", "a:b", 10],
    fc.record({ below: anyTagOrRoot, after: orNone(anyTagOrRoot), rowsMax: anyRows }),
  ),
  tagsPage: example(
    nodes.tagsPage,
    { rows: [{ tag: asTag("a:b"), version: 12, isPending: true }], next: undefined },
    [[["a:b", 12, true]], null],
    fc.record({
      rows: fc.array(fc.record({ tag: anyTagOrRoot, version: anyCount, isPending: fc.boolean() }), { maxLength: 3 }),
      next: orNone(anyText),
    }),
  ),
  invalidateAsked: example(
    nodes.invalidateAsked,
    [asTag("a"), asTag("b:c")],
    [["a", "b:c"]],
    fc.array(anyTag, { maxLength: 5 }) as fc.Arbitrary<readonly Tag[]>,
  ),
  publication: example(nodes.publication, "queued", ["queued"], fc.constantFrom("published" as const, "queued" as const)),
  pruneAsked: example(nodes.pruneAsked, { unusedMs: undefined }, [null], fc.record({ unusedMs: orNone(anyCount) })),
  pruned: example(nodes.pruned, { entries: 3, tags: 4 }, [3, 4], fc.record({ entries: anyCount, tags: anyCount })),
};
