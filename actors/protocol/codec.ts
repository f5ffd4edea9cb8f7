/**
 * Bytes of the messages in actors/protocol/messages.ts: a codec for each. Reading checks every field, for whatever comes over
 * a wire may be anything; writing trusts its types. Byte fields of what was read alias the message.
 */
import {
  limits,
  decodeMessage,
  encodeMessage,
  errorFromWire,
  errorToWire,
  MalformedMessageError,
  type Log,
  ProtocolVersionError,
  type KeyRange,
  ZooidError,
} from "../../core/index.js";
import type { Message } from "../../transport/transport.js";
import type * as m from "./messages.js";
import { protocolVersion, serverRoles, verdictTypes } from "./messages.js";
import * as shape from "./checks.js";

/** Both directions of one kind of message. */
export interface Codec<T> {
  write(message: T): Uint8Array;
  /** Throws MalformedMessageError, TooLargeError, InvalidKeyError. */
  read(bytes: Uint8Array): T;
}

/** A codec of messages that are arrays of `count` fields. */
export function codec<T>(
  what: string,
  toFields: (message: T) => readonly unknown[],
  fromFields: (read: readonly unknown[]) => T,
  count: number,
): Codec<T> {
  return {
    write: (message) => encodeMessage(toFields(message)),
    read: (bytes) => fromFields(shape.fields(decodeMessage(bytes, what), what, count)),
  };
}

/** A message without any fact. */
export interface Nothing {
  readonly type?: never;
}

export const nothing = codec<Nothing>(
  "nothing",
  () => [],
  () => ({}),
  0,
);

/** What a message that nobody waits to see answered holds; undefined, and logged, when it is malformed. */
export function readOrDrop<T>(codec: Codec<T>, { subject, payload }: Pick<Message, "subject" | "payload">, log: Log): T | undefined {
  try {
    return codec.read(payload);
  } catch (error) {
    if (!(error instanceof ZooidError)) throw error;
    log.debug({ err: error, subject }, "a malformed message was dropped");
    return undefined;
  }
}

// ---- Answers: [0, what was promised] or [1, class, facts]

/** The bytes of an answer that keeps its promise. */
export function writeAnswer<T>(answer: Codec<T>, message: T): Uint8Array {
  const body = answer.write(message);
  const whole = Buffer.allocUnsafe(body.length + 1);
  whole[0] = 0;
  whole.set(body, 1);
  return whole;
}

/** The bytes of an answer that fails with `error`. */
export function writeError(error: unknown): Uint8Array {
  const body = encodeMessage(errorToWire(error));
  const whole = Buffer.allocUnsafe(body.length + 1);
  whole[0] = 1;
  whole.set(body, 1);
  return whole;
}

/** What was answered. Throws the error that the other side wrote, or MalformedMessageError. */
export function readAnswer<T>(answer: Codec<T>, bytes: Uint8Array): T {
  if (bytes[0] === 0) return answer.read(bytes.subarray(1));
  if (bytes[0] !== 1) throw new MalformedMessageError({ what: "answer", reason: "is neither a result nor an error" });
  const [name, facts] = shape.fields(decodeMessage(bytes.subarray(1), "error"), "error", 2);
  throw errorFromWire(name, facts);
}

// ---- Requests and what is promised for them

export const register: Codec<m.Register> = {
  write: (each) =>
    encodeMessage([each.protocol, each.client, each.readOnly, each.clientSecret, each.sessionSecret, each.oldestSnapshot ?? null]),
  read(bytes) {
    const message = decodeMessage(bytes, "register");
    // The version stands first in every version, whatever follows it there.
    const version = shape.count(Array.isArray(message) ? message[0] : undefined, "register.protocol");
    if (version !== protocolVersion) throw new ProtocolVersionError({ version, supported: protocolVersion });
    const [, client, readOnly, clientSecret, sessionSecret, oldestSnapshot] = shape.fields(message, "register", 6);
    return {
      protocol: version,
      client: shape.name(client, "register.client"),
      readOnly: shape.flag(readOnly, "register.readOnly"),
      clientSecret: shape.secret(clientSecret, "register.clientSecret"),
      sessionSecret: shape.secret(sessionSecret, "register.sessionSecret"),
      oldestSnapshot: shape.tidOrNone(oldestSnapshot, "register.oldestSnapshot"),
    };
  },
};

export const registered = codec<m.Registered>(
  "registered",
  (each) => [
    each.instance,
    each.links,
    each.readOnly,
    each.position.tid,
    each.position.digest,
    each.heartbeatIntervalMs,
    each.keepAliveIntervalMs,
  ],
  ([instance, links, readOnly, tid, digest, heartbeatIntervalMs, keepAliveIntervalMs]) => ({
    instance: shape.name(instance, "registered.instance"),
    links: shape.count(links, "registered.links"),
    readOnly: shape.flag(readOnly, "registered.readOnly"),
    position: position(tid, digest, "registered.position"),
    heartbeatIntervalMs: shape.interval(heartbeatIntervalMs, "registered.heartbeatIntervalMs"),
    keepAliveIntervalMs: shape.interval(keepAliveIntervalMs, "registered.keepAliveIntervalMs"),
  }),
  7,
);

export const verify = codec<m.Verify>(
  "verify",
  (each) => [each.session, each.position.tid, each.position.digest, each.asOf.tid, each.asOf.digest],
  ([session, tid, digest, asOfTid, asOfDigest]) => ({
    session: shape.id(session, "verify.session"),
    position: position(tid, digest, "verify.position"),
    asOf: position(asOfTid, asOfDigest, "verify.asOf"),
  }),
  5,
);

export const verdict = codec<m.Verdict>(
  "verdict",
  (each) => [each.type, each.position.tid, each.position.digest],
  ([type, tid, digest]) => ({
    type: shape.oneOf(type, "verdict.type", verdictTypes),
    position: position(tid, digest, "verdict.position"),
  }),
  3,
);

export const logRequest = codec<m.LogRequest>(
  "log",
  (each) => [each.session, each.after],
  ([session, after]) => ({ session: shape.id(session, "log.session"), after: shape.tid(after, "log.after") }),
  2,
);

export const logPage = codec<m.LogPage>(
  "log page",
  (each) => [each.whole, each.transactions.map(invalidationFields)],
  ([whole, transactions]) => ({
    whole: shape.flag(whole, "log page.whole"),
    transactions: shape.list(transactions, "log page.transactions", limits.replayTransactionsMax).map(invalidation),
  }),
  2,
);

export const keysRequest = codec<m.KeysRequest>(
  "keys",
  (each) => [each.session, each.tid, each.from],
  ([session, tid, from]) => ({
    session: shape.id(session, "keys.session"),
    tid: shape.tid(tid, "keys.tid"),
    from: shape.count(from, "keys.from"),
  }),
  3,
);

export const keysPage = codec<m.KeysPage>(
  "keys page",
  (each) => [each.keys],
  ([keys]) => ({ keys: shape.keys(keys, "keys page.keys", limits.transactionKeysMax) }),
  1,
);

export const load = codec<m.Load>(
  "load",
  (each) => [each.session, each.snapshot, each.keys],
  ([session, snapshot, keys]) => ({
    session: shape.id(session, "load.session"),
    snapshot: shape.tid(snapshot, "load.snapshot"),
    keys: shape.keys(keys, "load.keys", limits.listPageRowsMax),
  }),
  3,
);

export const loadAnswer = codec<m.LoadAnswer>(
  "load answer",
  (each) => {
    const flat: unknown[] = [];
    for (const revision of each.revisions) flat.push(revision.serial, revision.value ?? null, revision.next ?? null);
    return [each.asOf.tid, each.asOf.digest, flat];
  },
  ([tid, digest, flat]) => {
    const parts = shape.list(flat, "load answer.revisions", 3 * limits.listPageRowsMax);
    const revisions: m.LoadedRevision[] = [];
    for (let index = 0; index < parts.length; index += 3) {
      const value = parts[index + 1];
      revisions.push({
        serial: shape.tid(parts[index], "load answer.serial"),
        value: value === null ? undefined : shape.bytes(value, "load answer.value"),
        next: shape.tidOrNone(parts[index + 2], "load answer.next"),
      });
    }
    return { asOf: position(tid, digest, "load answer.asOf"), revisions };
  },
  3,
);

export const list = codec<m.List>(
  "list",
  (each) => [each.session, each.snapshot, each.range.from, each.range.to ?? null, each.rowsMax],
  ([session, snapshot, from, to, rowsMax]) => ({
    session: shape.id(session, "list.session"),
    snapshot: shape.tid(snapshot, "list.snapshot"),
    range: range(from, to, "list.range"),
    rowsMax: shape.count(rowsMax, "list.rowsMax"),
  }),
  5,
);

export const listAnswer = codec<m.ListAnswer>(
  "list answer",
  (each) => {
    const flat: unknown[] = [];
    for (const row of each.rows) flat.push(row.key, row.serial, row.value, row.next ?? null);
    return [each.asOf.tid, each.asOf.digest, flat, each.end ?? null];
  },
  ([tid, digest, flat, end]) => {
    const parts = shape.list(flat, "list answer.rows", 4 * limits.listPageRowsMax);
    const rows = [];
    for (let index = 0; index < parts.length; index += 4) {
      rows.push({
        key: shape.key(parts[index], "list answer.key"),
        serial: shape.tid(parts[index + 1], "list answer.serial"),
        value: shape.bytes(parts[index + 2], "list answer.value"),
        next: shape.tidOrNone(parts[index + 3], "list answer.next"),
      });
    }
    return { asOf: position(tid, digest, "list answer.asOf"), rows, end: end === null ? undefined : shape.bound(end, "list answer.end") };
  },
  4,
);

/** Of `commit` and of `vote`. */
export const commit = codec<m.Commit>(
  "commit",
  (each) => {
    const ranges: unknown[] = [];
    for (const { from, to } of each.ranges) ranges.push(from, to ?? null);
    const writes: unknown[] = [];
    for (const { key, value } of each.writes) writes.push(key, value ?? null);
    return [each.session, each.id, each.snapshot, each.serializable, each.reads, ranges, writes];
  },
  ([session, id, snapshot, serializable, reads, flatRanges, flatWrites]) => {
    const ends = shape.list(flatRanges, "commit.ranges", 2 * limits.transactionRangesMax);
    const ranges: KeyRange[] = [];
    for (let index = 0; index < ends.length; index += 2) ranges.push(range(ends[index], ends[index + 1], "commit.ranges"));
    const parts = shape.list(flatWrites, "commit.writes", 2 * limits.transactionKeysMax);
    const writes: m.Write[] = [];
    for (let index = 0; index < parts.length; index += 2) {
      const value = parts[index + 1];
      writes.push({
        key: shape.key(parts[index], "commit.writes"),
        value: value === null ? undefined : shape.value(value, "commit.writes"),
      });
    }
    if (writes.length > 1 && new Set(writes.map((write) => write.key)).size < writes.length) {
      throw new MalformedMessageError({ what: "commit.writes", reason: "writes a key twice" });
    }
    return {
      session: shape.id(session, "commit.session"),
      id: shape.id(id, "commit.id"),
      snapshot: shape.tid(snapshot, "commit.snapshot"),
      serializable: shape.flag(serializable, "commit.serializable"),
      reads: shape.keys(reads, "commit.reads", limits.transactionKeysMax),
      ranges,
      writes,
    };
  },
  7,
);

export const committed = codec<m.Committed>(
  "committed",
  (each) => [each.tid, each.previous, each.digest],
  ([tid, previous, digest]) => link(previous, tid, digest, "committed"),
  3,
);

/** Of `finish` and of `abort`. */
export const finish = codec<m.Finish>(
  "finish",
  (each) => [each.session, each.id],
  ([session, id]) => ({ session: shape.id(session, "finish.session"), id: shape.id(id, "finish.id") }),
  2,
);

export const settle = codec<m.Settle>(
  "settle",
  (each) => [each.session, each.id, each.snapshot],
  ([session, id, snapshot]) => ({
    session: shape.id(session, "settle.session"),
    id: shape.id(id, "settle.id"),
    snapshot: shape.tid(snapshot, "settle.snapshot"),
  }),
  3,
);

export const settled = codec<m.Settled>(
  "settled",
  ({ committed: each }) => [each === undefined ? null : [each.tid, each.previous, each.digest]],
  ([each]) => {
    if (each === null) return { committed: undefined };
    const [tid, previous, digest] = shape.fields(each, "settled.committed", 3);
    return { committed: link(previous, tid, digest, "settled") };
  },
  1,
);

export const alive = codec<m.Alive>(
  "alive",
  (each) => [each.session, each.oldestSnapshot ?? null],
  ([session, oldestSnapshot]) => ({
    session: shape.id(session, "alive.session"),
    oldestSnapshot: shape.tidOrNone(oldestSnapshot, "alive.oldestSnapshot"),
  }),
  2,
);

export const aliveAnswer = codec<m.AliveAnswer>(
  "alive answer",
  (each) => [each.position.tid, each.position.digest],
  ([tid, digest]) => ({ position: position(tid, digest, "alive answer.position") }),
  2,
);

/** Of `bye` and of `status`: a session alone. `status` is also answered to those without one (an empty string). */
export const session = codec<{ readonly session: string }>(
  "session",
  (each) => [each.session],
  ([each]) => ({ session: each === "" ? "" : shape.id(each, "session") }),
  1,
);

export const challenge = codec<m.Challenge>(
  "challenge",
  (each) => [each.nonce],
  ([nonce]) => ({ nonce: shape.id(nonce, "challenge.nonce") }),
  1,
);

export const writer = codec<m.Writer>(
  "writer",
  (each) => [each.instance, each.startedAt, each.role, each.position.tid, each.position.digest, each.proof],
  ([instance, startedAt, role, tid, digest, proof]) => ({
    instance: shape.name(instance, "writer.instance"),
    startedAt: shape.count(startedAt, "writer.startedAt"),
    role: shape.oneOf(role, "writer.role", serverRoles),
    position: position(tid, digest, "writer.position"),
    proof: shape.id(proof, "writer.proof"),
  }),
  6,
);

export const storages = codec<m.Storages>(
  "storages",
  (each) => [each.storages],
  ([each]) => ({ storages: shape.list(each, "storages", 1_000).map((name) => shape.name(name, "storages")) }),
  1,
);

/** The status of a server is for people: it is read as it comes, bounded by the size of a message. */
export const serverStatus = codec<m.ServerStatus>(
  "status",
  (each) => [each],
  ([each]) => {
    if (typeof each !== "object" || each === null) throw new MalformedMessageError({ what: "status", reason: "is not an object" });
    return each as m.ServerStatus;
  },
  1,
);

// ---- What comes on `.invalidations`

/** Whether `bytes` can be a heartbeat, told without decoding: others are of no interest to who only listens for writers. */
export function mayBeHeartbeat(bytes: Uint8Array): boolean {
  // A short array that begins with the string "h".
  return bytes[0] !== undefined && (bytes[0] & 0xf0) === 0x90 && bytes[1] === 0xa1 && bytes[2] === 0x68;
}

export const broadcast: Codec<m.Broadcast> = {
  write(message) {
    switch (message.type) {
      case "invalidations":
        return encodeMessage(["i", message.instance, message.transactions.map(invalidationFields)]);
      case "heartbeat":
        return encodeMessage([
          "h",
          message.instance,
          message.startedAt,
          message.links,
          message.readOnly,
          message.role,
          message.position.tid,
          message.position.digest,
        ]);
      case "goodbye":
        return encodeMessage(["g", message.instance]);
    }
  },
  read(bytes) {
    const message = decodeMessage(bytes, "broadcast");
    const type: unknown = Array.isArray(message) ? message[0] : undefined;
    if (type === "i") {
      const [, instance, transactions] = shape.fields(message, "invalidations", 3);
      return {
        type: "invalidations",
        instance: shape.name(instance, "invalidations.instance"),
        transactions: shape.list(transactions, "invalidations.transactions", limits.replayTransactionsMax).map(invalidation),
      };
    }
    if (type === "h") {
      const [, instance, startedAt, links, readOnly, role, tid, digest] = shape.fields(message, "heartbeat", 8);
      return {
        type: "heartbeat",
        instance: shape.name(instance, "heartbeat.instance"),
        startedAt: shape.count(startedAt, "heartbeat.startedAt"),
        links: shape.count(links, "heartbeat.links"),
        readOnly: shape.flag(readOnly, "heartbeat.readOnly"),
        role: shape.oneOf(role, "heartbeat.role", serverRoles),
        position: position(tid, digest, "heartbeat.position"),
      };
    }
    if (type === "g") {
      const [, instance] = shape.fields(message, "goodbye", 2);
      return { type: "goodbye", instance: shape.name(instance, "goodbye.instance") };
    }
    throw new MalformedMessageError({ what: "broadcast", reason: "is of no known type" });
  },
};

function position(tid: unknown, digest: unknown, what: string): m.Position {
  return { tid: shape.tid(tid, `${what}.tid`), digest: shape.digest(digest, `${what}.digest`) };
}

/** A transaction's place in the chain: tids rise along it. */
function link(previous: unknown, tid: unknown, digest: unknown, what: string): m.Committed {
  const read = {
    previous: shape.tid(previous, `${what}.previous`),
    tid: shape.tid(tid, `${what}.tid`),
    digest: shape.digest(digest, `${what}.digest`),
  };
  if (read.tid <= read.previous) throw new MalformedMessageError({ what, reason: "does not follow its predecessor" });
  return read;
}

function range(from: unknown, to: unknown, what: string): KeyRange {
  return { from: shape.bound(from, what), to: to === null ? undefined : shape.bound(to, what) };
}

function invalidationFields(each: m.Invalidation): readonly unknown[] {
  return [each.previous, each.tid, each.digest, each.keyCount, each.keys ?? null];
}

function invalidation(value: unknown): m.Invalidation {
  const [previous, tid, digest, keyCount, keys] = shape.fields(value, "invalidation", 5);
  return {
    ...link(previous, tid, digest, "invalidation"),
    keyCount: shape.count(keyCount, "invalidation.keyCount"),
    keys: keys === null ? undefined : shape.keys(keys, "invalidation.keys", limits.transactionKeysMax),
  };
}
