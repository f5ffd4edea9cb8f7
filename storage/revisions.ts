import { assert } from "../words/assert.js";
import type { KeyRange } from "../words/key.js";
import { asTid, type Tid, tidZero } from "../words/tid.js";
import type { View } from "./ordered-store.js";
import { isLive, textOfKey, objectKey, objectsIn, revisionsOf, serialOfHistory, tidOfRevision, valueOfRevision } from "./records.js";
import type { Position } from "./transaction.js";

/** What a key held at a snapshot, and for how long. */
export interface Revision {
  /** Tid of the transaction that wrote it; when absent that of the deletion, or 0 if there was none or it was pruned. */
  readonly serial: Tid;
  /** Undefined: absent at the snapshot. */
  readonly value: Uint8Array | undefined;
  /** Tid of the transaction that replaced it; undefined: current at `asOf`. */
  readonly next: Tid | undefined;
}

/** A revision with the position that it is known for. */
export interface Loaded extends Revision {
  /** Last durable position of the view that the revision was read from. */
  readonly asOf: Position;
}

/** An object in a page, as at the snapshot. */
export interface ListedRow {
  readonly key: string;
  readonly serial: Tid;
  readonly value: Uint8Array;
  readonly next: Tid | undefined;
}

/** A page of a listing. */
export interface Listed {
  /** In the order of keys; a page may have none and an end all the same, when all it met is absent at the snapshot. */
  readonly rows: readonly ListedRow[];
  readonly asOf: Position;
  /** Listed up to this key (not included), because the page is full; undefined: the whole range. */
  readonly end: string | undefined;
}

/** Revision of `key` at `snapshot`, which is not below the history floor. */
export function revisionAt(view: View, key: string, snapshot: Tid): Revision {
  const current = view.get(objectKey(key));
  if (current === undefined) return { serial: tidZero, value: undefined, next: undefined };
  return revisionBefore(view, key, current, snapshot);
}

/** A page of the objects in `range` at `snapshot`: at most `entriesMax` looked at, and `bytesMax` of keys and values but one row at least. */
export function listAt(view: View, range: KeyRange, snapshot: Tid, entriesMax: number, bytesMax: number): Omit<Listed, "asOf"> {
  const rows: ListedRow[] = [];
  let entries = 0;
  let bytes = 0;
  for (const [objectBytes, current] of view.range(objectsIn(range))) {
    const key = textOfKey(objectBytes);
    if (entries === entriesMax) return { rows, end: key };
    entries += 1;
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
  // Nothing that old: it was absent until its first revision.
  for (const [historyBytes] of view.range(revisionsOf(key, after, currentSerial))) {
    return { serial: tidZero, value: undefined, next: serialOfHistory(historyBytes) };
  }
  return { serial: tidZero, value: undefined, next: currentSerial };
}

/** Whether `record`, current of a key, is there; undefined is a key never written. */
export function isPresent(record: Uint8Array | undefined): boolean {
  return record !== undefined && isLive(record);
}
