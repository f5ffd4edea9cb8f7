import { assert, asTid, type KeyRange, limits, type Position, SnapshotTooOldError, type Tid, tidZero } from "../../core/index.js";
import type { View } from "../kv/ordered-store.js";
import {
  decodeTid,
  isLive,
  metaKey,
  objectKey,
  objectsIn,
  revisionsOf,
  serialOfHistory,
  textOfKey,
  tidOfRevision,
  valueOfRevision,
} from "./records.js";

/** Value of a key at a snapshot, and the interval for which it is known. */
export interface Revision {
  /**
   * Tid from which it is known to be valid: that of the transaction that wrote it. An absent key has the tid of its
   * deletion. If no deletion is kept, it has the history floor: the value before the floor is unknown, because the
   * deletion may have been pruned.
   */
  readonly serial: Tid;
  /** Undefined: absent at the snapshot. */
  readonly value: Uint8Array | undefined;
  /** Tid of the transaction that replaced it; undefined: current at `asOf`. */
  readonly next: Tid | undefined;
}

/** A revision with the position for which it is known. */
export interface Loaded extends Revision {
  /** Last durable position of the view that the revision was read from. */
  readonly asOf: Position;
}

/** An object in a page, as of the snapshot. */
export interface ListedRow extends Revision {
  readonly key: string;
  readonly value: Uint8Array;
}

/** A page of a listing. */
export interface Listed {
  /** In the order of keys. A page may have no rows and still an end, if all its objects are absent at the snapshot. */
  readonly rows: readonly ListedRow[];
  readonly asOf: Position;
  /** The page lists keys before this key, because it is full; undefined: it lists the whole range. */
  readonly end: string | undefined;
}

const floorKey = metaKey("historyFloor");

/** Snapshots below it cannot be read in `view`. */
export function floorIn(view: View): Tid {
  const record = view.get(floorKey);
  return record === undefined ? tidZero : decodeTid(record);
}

/**
 * Revision of `key` at `snapshot`. Throws SnapshotTooOldError when the key is absent and the view's history floor is
 * above the snapshot.
 */
export function revisionAt(view: View, key: string, snapshot: Tid): Revision {
  const current = view.get(objectKey(key));
  if (current === undefined) return absentSinceFloor(view, snapshot, undefined);
  return revisionBefore(view, key, current, snapshot);
}

/**
 * Cost of looking up an older revision, in look-ups of a current one: a page at an old snapshot has fewer rows, so that
 * the step that reads it takes no longer.
 */
export const olderRevisionLooks = 8;

/**
 * A page of the objects in `range` at `snapshot`: at most `entriesMax` objects are visited, and it has at most
 * `bytesMax` of keys and values, but at least one row.
 */
export function listAt(view: View, range: KeyRange, snapshot: Tid, entriesMax: number, bytesMax: number): Omit<Listed, "asOf"> {
  const rows: ListedRow[] = [];
  let entries = 0;
  let bytes = 0;
  let looks = 0;
  for (const [objectBytes, current] of view.range(objectsIn(range))) {
    const key = textOfKey(objectBytes);
    if (entries === entriesMax || looks >= limits.pageLooksMax) return { rows, end: key };
    entries += 1;
    looks += tidOfRevision(current) <= snapshot ? 1 : olderRevisionLooks;
    const { serial, value, next } = revisionBefore(view, key, current, snapshot);
    if (value === undefined) continue;
    bytes += objectBytes.length + value.length;
    if (bytes > bytesMax && rows.length > 0) return { rows, end: key };
    rows.push({ key, serial, value, next });
  }
  return { rows, end: undefined };
}

function revisionBefore(view: View, key: string, current: Uint8Array, snapshot: Tid): Revision {
  const currentSerial = tidOfRevision(current);
  if (currentSerial <= snapshot) return { serial: currentSerial, value: valueOfRevision(current), next: undefined };
  const after = asTid(snapshot + 1);
  for (const [historyBytes, revision] of view.range({ ...revisionsOf(key, tidZero, after), reverse: true })) {
    const next = tidOfRevision(revision);
    assert(next > snapshot, "the history of an object has no gap above its floor");
    return { serial: serialOfHistory(historyBytes), value: valueOfRevision(revision), next };
  }
  // No revision is that old: the key was absent until its first one.
  for (const [historyBytes] of view.range(revisionsOf(key, after, currentSerial))) {
    return absentSinceFloor(view, snapshot, serialOfHistory(historyBytes));
  }
  return absentSinceFloor(view, snapshot, currentSerial);
}

/**
 * The absence of a key without a deletion. The floor comes from the view, because the floor in memory may lag behind
 * it.
 */
function absentSinceFloor(view: View, snapshot: Tid, next: Tid | undefined): Revision {
  const floor = floorIn(view);
  if (snapshot < floor) throw new SnapshotTooOldError({ snapshot, floor });
  return { serial: floor, value: undefined, next };
}

/** Whether `record`, the current one of a key, is a value; undefined means that the key was never written. */
export function isPresent(record: Uint8Array | undefined): boolean {
  return record !== undefined && isLive(record);
}
