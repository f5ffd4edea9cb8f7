import { type LoggedTransaction, StoreError, type Tid, tidMinus, tidZero } from "../../core/index.js";
import { InvalidationQueue } from "./invalidation-queue.js";
import { isEmpty, type OrderedStore, type View } from "../kv/ordered-store.js";
import { Outcomes } from "./outcomes.js";
import { allFences, decodePosition, decodeTid, emptyHistory, formatVersion, metaKey, type PositionRecord, textOfKey } from "./records.js";
import { floorIn } from "./revisions.js";
import { headAt, headsAfter, lastAt, transactionsBackwards } from "./transaction-log.js";

/** Bounds of the restored state. */
export interface RestoreOptions {
  readonly invalidationQueueSize: number;
  readonly invalidationQueueKeysMax: number;
  readonly outcomeAgeMs: number;
  readonly outcomesMax: number;
}

/** State of an object store in memory, derived from the disk alone. */
export interface Restored {
  readonly position: PositionRecord;
  readonly historyFloor: Tid;
  readonly queue: InvalidationQueue;
  readonly outcomes: Outcomes;
}

/**
 * Writes the format record of `storage` into an empty store; resolves when the store has it. Rejects with StoreError
 * when the store holds other data.
 */
export async function checkFormat(store: OrderedStore, storage: string): Promise<void> {
  const expected = Buffer.from(`zooid objects ${formatVersion} ${storage}`);
  const found = store.read((view) => {
    const format = view.get(metaKey("format"));
    if (format !== undefined) return Buffer.from(format).toString();
    return isEmpty(view) ? undefined : "something else";
  });
  if (found === expected.toString()) return;
  if (found !== undefined) {
    throw new StoreError({ folder: store.path, reason: `holds ${JSON.stringify(found)}, not ${JSON.stringify(expected.toString())}` });
  }
  await store.batch([{ key: metaKey("format"), value: expected }], { alone: true });
}

/**
 * Reads position and floors, and rebuilds queue and outcomes from the log. Throws StoreError when position and log do
 * not match.
 */
export function restore(view: View, path: string, options: RestoreOptions): Restored {
  const positionBytes = view.get(metaKey("position"));
  const position = positionBytes === undefined ? emptyHistory : decodePosition(positionBytes);
  if (position.tid !== tidZero && headAt(view, position.tid)?.digest !== position.digest) {
    throw new StoreError({ folder: path, reason: `is corrupted: its log does not end at its position, ${position.tid}` });
  }
  const historyFloor = floorIn(view);
  return {
    position,
    historyFloor,
    queue: restoreQueue(view, position.tid, options),
    outcomes: restoreOutcomes(view, position.tid, historyFloor, options),
  };
}

function restoreQueue(view: View, last: Tid, options: RestoreOptions): InvalidationQueue {
  const { invalidationQueueSize: transactionsMax, invalidationQueueKeysMax: keysMax } = options;
  const latest: LoggedTransaction[] = [];
  let keys = 0;
  for (const transaction of transactionsBackwards(view)) {
    keys += transaction.keys.length;
    if (latest.length === transactionsMax || keys > keysMax) break;
    latest.push(transaction);
  }
  const queue = new InvalidationQueue({ transactionsMax, keysMax }, last);
  for (const transaction of latest.reverse()) queue.push(transaction);
  return queue;
}

function restoreOutcomes(view: View, last: Tid, historyFloor: Tid, options: RestoreOptions): Outcomes {
  const outcomes = new Outcomes(options.outcomesMax);
  outcomes.raiseFloor(historyFloor);
  outcomes.raiseFloor(fenceFloorIn(view));
  outcomes.raiseFloor(lastAt(view, tidMinus(last, options.outcomeAgeMs)) ?? tidZero);
  for (const { id, tid } of headsAfter(view, outcomes.floor)) outcomes.addCommit(id, tid);
  const fences: { readonly id: string; readonly last: Tid }[] = [];
  for (const [key, value] of view.range(allFences)) fences.push({ id: textOfKey(key), last: decodeTid(value) });
  // Records are in the order of ids; fences are forgotten in the order of tids.
  fences.sort((a, b) => a.last - b.last);
  for (const fence of fences) outcomes.addFence(fence.id, fence.last);
  return outcomes;
}

function fenceFloorIn(view: View): Tid {
  const bytes = view.get(metaKey("fenceFloor"));
  return bytes === undefined ? tidZero : decodeTid(bytes);
}
