import type { Clock } from "../../core/clock.js";
import { type Tid, tidZero } from "../../core/tid.js";
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

/** Entries removed by one step at most, whatever time is left: their removal is one batch. */
const stepEntriesMax = 500;

/** One step: what to remove, and what is left. */
export interface PrunePlan {
  readonly changes: readonly StoreChange[];
  readonly removed: number;
  readonly done: boolean;
  /** Called when the changes are durable. */
  readonly apply: () => void;
}

/**
 * Finds what nobody can ask for any more, a step at a time. The log below the floor is the list of what is to be done:
 * each of its transactions replaced the revisions before it, and goes in the same batch as the last of them. So a sweep costs
 * what it removes, and one that was interrupted begins where the log now begins.
 */
export class HistoryPruner {
  /** Where a transaction with many keys was left. */
  #resume: { readonly tid: Tid; readonly index: number } = { tid: tidZero, index: 0 };

  plan(view: View, floor: Tid, outcomes: Outcomes, budgetMs: number, clock: Clock): PrunePlan {
    const start = clock.monotonic();
    const changes: StoreChange[] = [];
    const isOver = (): boolean => changes.length >= stepEntriesMax || clock.monotonic() - start >= budgetMs;
    const stop = this.#planLog(view, floor, changes, isOver);
    const fences = stop === undefined ? outcomes.fencesBelowFloor(stepEntriesMax) : [];
    for (const id of fences) changes.push({ key: fenceKey(id), value: undefined });
    const removed = changes.length;
    // Without its fence an id can only be refused by its snapshot: the floor that allowed the removal must outlive a start with other options.
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

  /** Where it stopped before the floor, else undefined. */
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
          // After the work, never before: a step whose time is over at once still gets on.
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

/** The revision of `key` that the transaction at `tid` replaced goes, and the tombstone that it left, if that is still current. */
function planKey(view: View, key: string, tid: Tid, changes: StoreChange[]): void {
  for (const [historyBytes, revision] of view.range({ ...revisionsOf(key, tidZero, tid), reverse: true })) {
    if (tidOfRevision(revision) === tid) changes.push({ key: historyBytes, value: undefined });
    break;
  }
  const objectBytes = objectKey(key);
  const current = view.get(objectBytes);
  if (current !== undefined && !isLive(current) && tidOfRevision(current) === tid) changes.push({ key: objectBytes, value: undefined });
}
