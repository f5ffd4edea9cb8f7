/** A client's requests about objects: loads, lists, commits. */
import { limits, MalformedMessageError, type Write } from "../../core/index.js";
import { bound, bytes, count, flag, id, key, keys, list as listOf, objectValue, optional, position, range, row, tid } from "./fields.js";
import { committed } from "./invalidations.js";
import { message, messageOf, type MessageOf } from "./message.js";

const keysToLoad = keys(limits.listPageRowsMax);

export const load = messageOf(
  "load",
  row(
    3,
    (from) => ({
      session: id.check(from[0], "load.session"),
      snapshot: tid.check(from[1], "load.snapshot"),
      keys: keysToLoad.check(from[2], "load.keys"),
    }),
    (each, into) => {
      into.push(each.session, each.snapshot, each.keys);
    },
  ),
);
export type Load = MessageOf<typeof load>;

/** Valid in [serial, next), or in [serial, asOf] if `next` is undefined. `value` undefined: absent. */
const loadedRevision = row(
  3,
  (from, at) => ({
    serial: tid.check(from[at], "load answer.serial"),
    value: from[at + 1] === null ? undefined : bytes.check(from[at + 1], "load answer.value"),
    next: from[at + 2] === null ? undefined : tid.check(from[at + 2], "load answer.next"),
  }),
  (each, into) => {
    into.push(each.serial, each.value ?? null, each.next ?? null);
  },
);

const loadedRevisions = listOf(loadedRevision, limits.listPageRowsMax);

export const loadAnswer = messageOf(
  "load answer",
  row(
    3,
    (from) => ({
      asOf: position.read(from, 0, "load answer.asOf"),
      /** At the snapshot, in the order of the requested keys. Fewer if they would not fit, at least one. */
      revisions: loadedRevisions.read(from, 2, "load answer.revisions"),
    }),
    (each, into) => {
      position.write(each.asOf, into);
      loadedRevisions.write(each.revisions, into);
    },
  ),
);

export const list = message("list", { session: id, snapshot: tid, range, rowsMax: count });
export type List = MessageOf<typeof list>;

/** A revision with its key, valid like a loaded one. */
const listedRow = row(
  4,
  (from, at) => ({
    key: key.check(from[at], "list answer.key"),
    serial: tid.check(from[at + 1], "list answer.serial"),
    value: bytes.check(from[at + 2], "list answer.value"),
    next: from[at + 3] === null ? undefined : tid.check(from[at + 3], "list answer.next"),
  }),
  (each, into) => {
    into.push(each.key, each.serial, each.value, each.next ?? null);
  },
);

export const listAnswer = message("list answer", {
  asOf: position,
  /** Rows of the range in order. */
  rows: listOf(listedRow, limits.listPageRowsMax),
  /** The key before which the list stopped; undefined: it reached the end of the range. */
  end: optional(bound),
});
export type ListAnswer = MessageOf<typeof listAnswer>;

const write = row<Write>(
  2,
  (from, at) => ({
    key: key.check(from[at], "commit.writes"),
    value: from[at + 1] === null ? undefined : objectValue.check(from[at + 1], "commit.writes"),
  }),
  (each, into) => {
    into.push(each.key, each.value ?? null);
  },
);

const keysRead = keys(limits.transactionKeysMax);
const rangesRead = listOf(range, limits.transactionRangesMax);
const writes = listOf(write, limits.transactionKeysMax);

/** Requests `commit` and `vote`: a whole transaction (CommitRequest). Its id belongs to the client. */
export const commit = messageOf(
  "commit",
  row(
    7,
    (from) => ({
      session: id.check(from[0], "commit.session"),
      id: id.check(from[1], "commit.id"),
      snapshot: tid.check(from[2], "commit.snapshot"),
      serializable: flag.check(from[3], "commit.serializable"),
      reads: keysRead.check(from[4], "commit.reads"),
      ranges: rangesRead.read(from, 5, "commit.ranges"),
      writes: writes.read(from, 6, "commit.writes"),
    }),
    (each, into) => {
      into.push(each.session, each.id, each.snapshot, each.serializable, each.reads);
      rangesRead.write(each.ranges, into);
      writes.write(each.writes, into);
    },
  ),
  { check: ({ writes }) => checkKeysOnce(writes) },
);
export type Commit = MessageOf<typeof commit>;

function checkKeysOnce(writes: readonly Write[]): void {
  if (writes.length > 1 && new Set(writes.map(({ key }) => key)).size < writes.length) {
    throw new MalformedMessageError({ what: "commit.writes", reason: "writes a key twice" });
  }
}

/** Requests `finish` and `abort`: for a voted transaction of the client. */
export const finish = message("finish", { session: id, id });

/**
 * Requests the outcome of the client's transaction `id`, begun at `snapshot`. If it never came, the server fences it
 * durably.
 */
export const settle = message("settle", { session: id, id, snapshot: tid });
export type Settle = MessageOf<typeof settle>;

export const settled = message("settled", {
  /** Undefined: the transaction will never commit. */
  committed: optional(committed.nested),
});
