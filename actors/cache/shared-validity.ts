import { LatestInvalidations } from "../../storage/results/latest-invalidations.js";
import { keyTag } from "../../storage/results/result-key.js";
import { type SharedRecord, staleAfter } from "../../storage/results/shared-record.js";
import type { Began, TagTrie } from "../../storage/results/tag-trie.js";
import { type Bus, type BusEvent, canRecall } from "../../transport/bus.js";
import { limits, type Tag } from "../../core/index.js";

export interface SharedValidityDeps {
  readonly bus: Bus;
  /** Knows which invalidations of this node have no number yet. */
  readonly trie: TagTrie;
  /** The broker's clock shows this or more; undefined: nothing is known of it. */
  readonly now: () => number | undefined;
}

/**
 * Judges what other nodes computed by the invalidations of all nodes.
 *
 * 1. A result counts only if none of its tags, nor one above, nor its key was invalidated after it began, by all that is known here when it
 *    is judged; and under an invalidation of this node that has no number yet nothing from elsewhere counts at all.
 * 2. A result that began before this node's knowledge of invalidations does is compared with what the bus recalls of each of its tags, once.
 *    That can be done as long as the bus still holds all invalidations since it began: the record bears the broker's time of what was known then.
 *
 * Source: DESIGN "Versions", "Pending"; INTERLEAVINGS B4, B8 to B11.
 */
export class SharedValidity {
  readonly #deps: SharedValidityDeps;
  readonly #latest = new LatestInvalidations(limits.latestInvalidationsMax);
  /** What the bus recalled of tags, as of before `since`. */
  readonly #recalled = new Map<Tag, number>();
  #recalledSince = 0;
  #epoch: string | undefined;
  /** What began before it cannot be judged by asking. */
  #hardFloor = 0;

  constructor(deps: SharedValidityDeps) {
    this.#deps = deps;
  }

  /** The epoch of the bus; undefined before it was followed. */
  get epoch(): string | undefined {
    return this.#epoch;
  }

  /** Takes an event of the bus. The trie must have it already. */
  hear(event: Exclude<BusEvent, { readonly type: "cut" }>): void {
    const { epoch, sequence } = event.version;
    if (event.type === "invalidated") this.#latest.apply(event.tag as Tag, sequence);
    else if (event.type === "reset") {
      // What was missed within an epoch that was followed is not what the last of each tag would tell.
      this.#hardFloor = epoch === this.#epoch ? sequence : 0;
      this.#epoch = epoch;
      this.#latest.reset(sequence);
    } else if (event.type === "following") this.#epoch = epoch;
  }

  /** The bus has numbered an invalidation of this node, and the trie has the number. Undefined: it is of another epoch. */
  settled(tag: Tag, sequence: number | undefined): void {
    this.#latest.apply(tag, sequence ?? this.#deps.trie.tagVersion(tag));
  }

  /** Whether `record` is valid, without asking the bus. `judging`: what `staleAfter` says of it. */
  isKnownValid(record: SharedRecord, judging: ReadonlyMap<Tag, number>): boolean {
    return record.sequence >= this.#latest.since && this.#mayBeValid(record, judging);
  }

  /**
   * From when on a valid result is to be judged in memory: it was compared with all that is known here now. Undefined: it is stale.
   * The bus is asked when what is known does not reach back far enough.
   */
  async judge(record: SharedRecord): Promise<Began | undefined> {
    const judging = staleAfter(record);
    const { since } = this.#latest;
    if (!this.#mayBeValid(record, judging)) return undefined;
    if (record.sequence < since) {
      if (record.sequence < this.#hardFloor || !(await this.#isRecalledValid(judging))) return undefined;
      // The bus may have been found to keep less than it did.
      if (!this.#isRecallable(record)) return undefined;
      // What was pushed out meanwhile was neither known nor asked for.
      if (this.#latest.since !== since || !this.#mayBeValid(record, judging)) return undefined;
    }
    const { trie } = this.#deps;
    return trie.beganElsewhere(Math.max(trie.sequence, record.sequence));
  }

  /** Nothing known speaks against it. */
  #mayBeValid(record: SharedRecord, judging: ReadonlyMap<Tag, number>): boolean {
    const { trie, bus } = this.#deps;
    if (record.epoch !== this.#epoch || bus.state.type !== "following") return false;
    if (record.ownSequence > trie.sequence + limits.sequencesAheadMax) return false;
    for (const [tag, sequence] of judging) if (this.#latest.of(tag) > sequence) return false;
    return !trie.isPending([...record.tags, keyTag(record.key)]);
  }

  /** Whether the bus still holds every invalidation that came after what `record` knew. */
  #isRecallable({ time }: SharedRecord): boolean {
    const { bus } = this.#deps;
    return canRecall(bus) && (this.#deps.now() ?? Infinity) - time < bus.recallAgeMsMax;
  }

  async #isRecalledValid(judging: ReadonlyMap<Tag, number>): Promise<boolean> {
    const { bus } = this.#deps;
    if (!canRecall(bus)) return false;
    const { since } = this.#latest;
    if (this.#recalledSince !== since || this.#recalled.size > limits.latestInvalidationsMax) this.#recalled.clear();
    this.#recalledSince = since;
    const asked = [...judging.keys()].filter((tag) => !this.#recalled.has(tag));
    if (asked.length > limits.tagsRecalledMax) return false;
    if (asked.length > 0) {
      const { sequences, reached } = await bus.recall(asked, limits.bucketTimeoutMs);
      if (reached < since || this.#recalledSince !== since) return false;
      asked.forEach((tag, index) => this.#recalled.set(tag, sequences[index] ?? Infinity));
    }
    for (const [tag, sequence] of judging) if ((this.#recalled.get(tag) ?? Infinity) > sequence) return false;
    return true;
  }
}
