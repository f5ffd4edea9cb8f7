/** Codecs of a client's requests about objects: loads, lists, commits. */
import { limits, MalformedMessageError, type KeyRange } from "../../core/index.js";
import * as shape from "./checks.js";
import { link, position, range } from "./fields.js";
import { codec } from "./message-codec.js";
import type * as m from "./messages.js";

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

/** Requests `commit` and `vote`. */
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

/** Requests `finish` and `abort`. */
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
