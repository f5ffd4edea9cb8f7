import { type Clock, type Tid, tidZero } from "../../core/index.js";
import type { StoreChange, View } from "../kv/ordered-store.js";
import {
  decodeLogHead,
  encodeTid,
  fenceKey,
  isLive,
  keysKey,
  keysPerPart,
  logKey,
  metaKey,
  objectKey,
  revisionsOf,
  tidOfRevision,
} from "./records.js";
import type { Outcomes } from "./outcomes.js";
import { keysOfPart } from "./transaction-log.js";

/** Maximum number of entries that one step removes, even if time is left: their removal is one batch. */
const stepEntriesMax = 500;

/** One step of pruning: the removals, and whether more remain. */
export interface PrunePlan {
  readonly changes: readonly StoreChange[];
  readonly removed: number;
  readonly done: boolean;
  /** Called when the changes are durable. */
  readonly apply: () => void;
}

/**
 * Finds records that no client can request any more, one step at a time. The log below the floor is the list of work:
 * each of its transactions replaced earlier revisions, and its log record is removed in the same batch as the last of
 * them. So a sweep costs only what it removes, and an interrupted sweep continues at the beginning of the remaining
 * log.
 */
export class HistoryPruner {
  /** Place in a transaction with many keys at which the last step stopped. */
  #resume: { readonly tid: Tid; readonly index: number } = { tid: tidZero, index: 0 };

  plan(view: View, floor: Tid, outcomes: Outcomes, budgetMs: number, clock: Clock): PrunePlan {
    const start = clock.monotonic();
    const changes: StoreChange[] = [];
    const isOver = (): boolean => changes.length >= stepEntriesMax || clock.monotonic() - start >= budgetMs;
    const stop = this.#planLog(view, floor, changes, isOver);
    const fences = stop === undefined ? outcomes.fencesBelowFloor(stepEntriesMax) : [];
    for (const id of fences) changes.push({ key: fenceKey(id), value: undefined });
    const removed = changes.length;
    // An id without its fence can only be refused because of its snapshot. Therefore the floor that allowed the removal
    // must survive a restart with other options.
    if (fences.length > 0) changes.push({ key: metaKey("fenceFloor"), value: encodeTid(outcomes.floor) });
    return {
      changes,
      removed,
      done: stop === undefined && fences.length < stepEntriesMax,
      apply: () => {
        this.#resume = stop ?? { tid: tidZero, index: 0 };
        outcomes.dropFences(fences.length);
      },
    };
  }

  /** Place at which the step stopped before the floor; otherwise undefined. */
  #planLog(
    view: View,
    floor: Tid,
    changes: StoreChange[],
    isOver: () => boolean,
  ): { readonly tid: Tid; readonly index: number } | undefined {
    for (const [logBytes, record] of view.range({ from: logKey(tidZero), to: logKey(floor) })) {
      const { tid, keyCount } = decodeLogHead(logBytes, record);
      let index = tid === this.#resume.tid ? this.#resume.index : 0;
      while (index < keyCount) {
        const part = Math.floor(index / keysPerPart);
        const keys = keysOfPart(view, tid, record, part) ?? [];
        const end = Math.min(keyCount, (part + 1) * keysPerPart);
        while (index < end) {
          planKey(view, keys[index - part * keysPerPart] ?? "", tid, changes);
          index += 1;
          // Checked after the work, not before it: a step without any time left still makes progress.
          if (isOver()) return { tid, index };
        }
      }
      changes.push({ key: logBytes, value: undefined });
      for (let part = 1; part * keysPerPart < keyCount; part++) changes.push({ key: keysKey(tid, part), value: undefined });
      if (isOver()) return { tid, index };
    }
    return undefined;
  }
}

/**
 * Removes the revision of `key` that the transaction at `tid` replaced, and the deletion that this transaction wrote,
 * if that is still current.
 */
function planKey(view: View, key: string, tid: Tid, changes: StoreChange[]): void {
  for (const [historyBytes, revision] of view.range({ ...revisionsOf(key, tidZero, tid), reverse: true })) {
    if (tidOfRevision(revision) === tid) changes.push({ key: historyBytes, value: undefined });
    break;
  }
  const objectBytes = objectKey(key);
  const current = view.get(objectBytes);
  if (current !== undefined && !isLive(current) && tidOfRevision(current) === tid) changes.push({ key: objectBytes, value: undefined });
}
