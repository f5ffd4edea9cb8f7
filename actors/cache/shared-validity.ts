import { LatestInvalidations } from "../../storage/results/latest-invalidations.js";
import { keyTag } from "../../storage/results/result-key.js";
import { type SharedRecord, staleAfter } from "../../storage/results/shared-record.js";
import type { Began, TagTrie } from "../../storage/results/tag-trie.js";
import { type Bus, type BusEvent, canRecall } from "../../transport/bus.js";
import { limits, type Tag } from "../../core/index.js";

export interface SharedValidityDeps {
  readonly bus: Bus;
  /** Knows which invalidations of this node the bus has not numbered yet. */
  readonly trie: TagTrie;
  /** The broker's clock shows this or more; undefined: unknown. */
  readonly now: () => number | undefined;
}

/**
 * Judges results of other nodes by the invalidations of all nodes.
 *
 * 1. A result is valid only if none of its tags, none of their parents, and not its key was invalidated after it began,
 *    by all that this node knows when it judges. While an invalidation of this node has no number yet, no result of
 *    another node is valid under its tag.
 * 2. A result that began before this node's knowledge of invalidations begins is compared, once, with what the bus
 *    recalls of each of its tags. That is possible while the bus still holds all invalidations since the result began:
 *    the record carries the broker's time of the last message known then.
 *
 * Source: DESIGN "Versions", "Pending"; INTERLEAVINGS B4, B8 to B11.
 */
export class SharedValidity {
  readonly #deps: SharedValidityDeps;
  readonly #latest = new LatestInvalidations(limits.latestInvalidationsMax);
  /** Sequences that the bus recalled for tags since #recalledSince, the `since` of #latest. A reset empties it. */
  #recalled = new Map<Tag, number>();
  #recalledSince = 0;
  #epoch: string | undefined;
  /** Recalls of the bus cannot judge results that began before it. */
  #hardFloor = 0;

  constructor(deps: SharedValidityDeps) {
    this.#deps = deps;
  }

  /** The epoch of the bus; undefined until the bus follows. */
  get epoch(): string | undefined {
    return this.#epoch;
  }

  /** Takes an event of the bus. The trie must have it already. */
  hear(event: Exclude<BusEvent, { readonly type: "cut" }>): void {
    const { epoch, sequence } = event.version;
    if (event.type === "invalidated") this.#latest.apply(event.tag as Tag, sequence);
    else if (event.type === "reset") {
      // After a reset within one epoch, invalidations are missing that the last one of each tag may not show.
      this.#hardFloor = epoch === this.#epoch ? sequence : 0;
      this.#epoch = epoch;
      this.#latest.reset(sequence);
      this.#forgetRecalled();
    } else if (event.type === "following") this.#epoch = epoch;
  }

  /**
   * The bus has numbered an invalidation of this node, and the trie has the number. Undefined: a number of another
   * epoch.
   */
  settled(tag: Tag, sequence: number | undefined): void {
    this.#latest.apply(tag, sequence ?? this.#deps.trie.tagVersion(tag));
  }

  /** Whether `record` is valid, without a request to the bus. `judging` is `staleAfter(record)`. */
  isKnownValid(record: SharedRecord, judging: ReadonlyMap<Tag, number>): boolean {
    return record.sequence >= this.#latest.since && this.#mayBeValid(record, judging);
  }

  /**
   * Compares `record` with all that is known here now, and asks the bus when that does not reach back far enough.
   * Returns the beginning from which memory judges the result; undefined: it is stale.
   */
  async judge(record: SharedRecord): Promise<Began | undefined> {
    const judging = staleAfter(record);
    if (!this.#mayBeValid(record, judging)) return undefined;
    if (record.sequence < this.#latest.since) {
      if (record.sequence < this.#hardFloor || !(await this.#isRecalledValid(judging))) return undefined;
      // During the recall the bus may have been reset, and the age that it can recall may have become shorter.
      if (record.sequence < this.#hardFloor || !this.#isRecallable(record) || !this.#mayBeValid(record, judging)) return undefined;
    }
    const { trie } = this.#deps;
    return trie.beganElsewhere(Math.max(trie.sequence, record.sequence));
  }

  /** Whether nothing that is known here makes it stale. */
  #mayBeValid(record: SharedRecord, judging: ReadonlyMap<Tag, number>): boolean {
    const { trie, bus } = this.#deps;
    if (record.epoch !== this.#epoch || bus.state.type !== "following") return false;
    if (record.ownSequence > trie.sequence + limits.sequencesAheadMax) return false;
    for (const [tag, sequence] of judging) if (this.#latest.of(tag) > sequence) return false;
    return !trie.isPending([...record.tags, keyTag(record.key)]);
  }

  /** Whether the bus still holds every invalidation after the position of `record`. */
  #isRecallable({ time }: SharedRecord): boolean {
    const { bus } = this.#deps;
    return canRecall(bus) && (this.#deps.now() ?? Infinity) - time < bus.recallAgeMsMax;
  }

  /** Whether the invalidations that the bus recalls permit a result, and this node has forgotten none meanwhile. */
  async #isRecalledValid(judging: ReadonlyMap<Tag, number>): Promise<boolean> {
    const { bus } = this.#deps;
    if (!canRecall(bus)) return false;
    const { since } = this.#latest;
    if (this.#recalledSince !== since || this.#recalled.size > limits.latestInvalidationsMax) this.#forgetRecalled();
    const recalled = this.#recalled;
    const asked = [...judging.keys()].filter((tag) => !recalled.has(tag));
    if (asked.length > limits.tagsRecalledMax) return false;
    if (asked.length > 0) {
      const { sequences, reached } = await bus.recall(asked, limits.bucketTimeoutMs);
      // An invalidation that #latest dropped meanwhile is neither known here nor among those that the bus recalled.
      // After a reset, the bus may count in another epoch, with the same sequences.
      if (reached < since || this.#latest.since !== since || this.#recalled !== recalled) return false;
      asked.forEach((tag, index) => recalled.set(tag, sequences[index] ?? Infinity));
    }
    for (const [tag, sequence] of judging) if ((recalled.get(tag) ?? Infinity) > sequence) return false;
    return true;
  }

  #forgetRecalled(): void {
    this.#recalled = new Map();
    this.#recalledSince = this.#latest.since;
  }
}
