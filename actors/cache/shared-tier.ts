import { keyTag } from "../../storage/results/result-key.js";
import type { EntryPosition, Keeping } from "../../storage/results/entry-store.js";
import { decodeSharedRecord, encodeSharedRecord, type SharedRecord, staleAfter } from "../../storage/results/shared-record.js";
import type { Began } from "../../storage/results/tag-trie.js";
import { decodeRecord, encodeRecord } from "../../storage/results/value-record.js";
import type { Bucket, BucketEntry } from "../../transport/bucket.js";
import { type Bus, type BusEvent, canRecall } from "../../transport/bus.js";
import { ClosedError, limits, soonerOf, type Tag, TimeoutError } from "../../core/index.js";
import type { CacheBase } from "./base.js";
import { BrokerTime } from "./broker-time.js";
import { BucketSweep } from "./bucket-sweep.js";
import { SharedValidity } from "./shared-validity.js";

/** Dependencies of SharedEntries. */
export interface SharedEntriesDeps extends CacheBase {
  readonly bucket: Bucket;
  /** It gives all nodes the same numbers. */
  readonly bus: Bus;
}

/** A result from the bucket, computed by another node or earlier by this one. */
export interface SharedEntry {
  readonly value: unknown;
  readonly tags: readonly Tag[];
  readonly ttlMs: number | undefined;
  readonly slides: boolean;
  /** Rest of its time to live; Infinity: it has none. */
  readonly leftMs: number;
  /** The beginning from which memory judges it. */
  readonly began: Began;
}

/** How a result is shared. */
export interface Sharing extends Keeping<EntryPosition> {
  /** Sequence of the invalidation of the `set` that stored it. */
  readonly ownSequence?: number | undefined;
}

/** Counts of the bucket since the cache was opened. */
export interface BucketCounts {
  /** Results that were found in the bucket. */
  readonly bucketHits: number;
  /** Requests to the bucket that failed, or were skipped because too many were in progress. */
  readonly bucketFailures: number;
}

/** Counts of a cache without a bucket. */
export const noBucketCounts: BucketCounts = { bucketHits: 0, bucketFailures: 0 };

/**
 * The state of a key in the bucket when it was last read: its revision (0: none) and the version of a readable record.
 */
interface MetRecord {
  readonly revision: number;
  readonly version: Pick<SharedRecord, "epoch" | "ownSequence"> | undefined;
  readonly hasExpired: boolean;
}

/** Keys whose last seen revision is remembered, so that the next write can skip the read. */
const keysRememberedMax = 10_000;
/** Longest time that results stay in a bucket: none outlives the invalidations that it is compared with. */
export function sharedAgeMsMax(bus: Bus | undefined): number {
  return Math.min(limits.busHistoryMs, bus !== undefined && canRecall(bus) ? bus.recallAgeMsMax : limits.busHistoryMs);
}

/**
 * Results in a bucket that the nodes of a cache share.
 *
 * 1. A result that is found is returned only if it is valid when it arrives (SharedValidity).
 * 2. A result that is written carries the position at which its computation began, and is judged again before the
 *    write. It never replaces a result of a later version of the same epoch.
 * 3. Times to live count on the broker's clock, from when the broker stored the record.
 * 4. The bucket delays a call by at most its time-out and that of the bus, and makes no call fail. It is not used while
 *    this node does not follow the bus, nor for a while after a time-out.
 *
 * Source: DESIGN "Versions", "Pending", "Tiers"; INTERLEAVINGS B4, B8 to B11, B13.
 */
export class SharedEntries {
  readonly #deps: SharedEntriesDeps;
  readonly #time: BrokerTime;
  readonly #validity: SharedValidity;
  readonly #sweep: BucketSweep;
  readonly #met = new Map<string, MetRecord>();
  readonly #writes = new Set<Promise<void>>();
  /** When the broker stored the last message of the bus, by its own clock. */
  #heardTime = 0;
  #began: EntryPosition | undefined;
  /** The clearing in progress. Writes wait for it: it would remove them, too. */
  #clearing: Promise<void> | undefined;
  #bytesWriting = 0;
  #restsUntilMs = -Infinity;
  #isFailing = false;
  #hasLoggedForeign = false;
  #hits = 0;
  #failures = 0;

  constructor(deps: SharedEntriesDeps) {
    this.#deps = deps;
    this.#time = new BrokerTime(deps.clock);
    this.#validity = new SharedValidity({ ...deps, now: () => this.#time.now() });
    this.#sweep = new BucketSweep({
      ...deps,
      isUsable: () => this.isUsable,
      hasExpired: ({ ttlMs = Infinity, time }) => this.#leftMs(ttlMs, time) <= 0,
      onFail: (error) => this.#failed(error, ""),
    });
  }

  get counts(): BucketCounts {
    return { bucketHits: this.#hits, bucketFailures: this.#failures };
  }

  /** Whether the bucket can be used now. */
  get isUsable(): boolean {
    const { bus, clock, isInTouch } = this.#deps;
    if (this.#validity.epoch === undefined || bus.state.type !== "following" || isInTouch?.() === false) return false;
    return clock.monotonic() >= this.#restsUntilMs && this.#time.now() !== undefined;
  }

  /** The position of a computation that begins now; undefined: this node knows too little to share its result. */
  begin(): EntryPosition | undefined {
    const { epoch } = this.#validity;
    if (epoch === undefined || this.#deps.bus.state.type !== "following") return undefined;
    const { sequence } = this.#deps.trie;
    if (this.#began?.sequence !== sequence || this.#began.epoch !== epoch) {
      this.#began = { epoch, sequence, time: this.#heardTime };
    }
    return this.#began;
  }

  /** The result of `key`, if there is one that is valid now. Never rejects. */
  async get(key: string): Promise<SharedEntry | undefined> {
    if (!this.isUsable) return undefined;
    try {
      const { record, time } = await this.#read(key);
      if (record === undefined || this.#leftMs(record.leftMs, time) <= 0) return undefined;
      const began = await this.#validity.judge(record);
      const leftMs = this.#leftMs(record.leftMs, time);
      return began === undefined || leftMs <= 0 ? undefined : this.#entryOf(record, began, leftMs);
    } catch (error) {
      this.#failed(error, key);
      return undefined;
    }
  }

  /** Writes in the background, if the result is still valid then. A result that cannot be written is in memory only. */
  put(key: string, value: unknown, { tags, began, ownSequence = began.sequence, ttlMs, leftMs = ttlMs, slides = false }: Sharing): void {
    if (!this.isUsable || (leftMs ?? Infinity) <= 0) return;
    const { bucket, log } = this.#deps;
    const own = keyTag(key);
    const encoded = this.#encoded(key, value);
    if (encoded === undefined) return;
    const record: SharedRecord = {
      key,
      epoch: began.epoch,
      sequence: began.sequence,
      time: began.time,
      ownSequence: Math.max(ownSequence, began.sequence),
      tags: tags.includes(own) ? tags.filter((tag) => tag !== own) : tags,
      ttlMs,
      leftMs: leftMs ?? Infinity,
      slides: slides && ttlMs !== undefined,
      value: encoded,
    };
    const payload = encodeSharedRecord(record);
    if (payload.length > bucket.payloadBytesMax) {
      log.warn({ key, bytes: payload.length, bytesMax: bucket.payloadBytesMax }, "a result is too large to be shared");
      return;
    }
    this.#behind(key, payload.length, () => this.#write(record, payload));
  }

  /** Removes a record that `sequence` made stale, if no other record will replace it. */
  discard(key: string, sequence: number): void {
    if (!this.isUsable) return;
    this.#behind(key, 0, async () => {
      const { revision, version } = (await this.#read(key)).met;
      if (version === undefined || (version.epoch === this.#validity.epoch && version.ownSequence >= sequence)) return;
      await this.#remove(key, revision);
    });
  }

  /** Removes the record of `key` if the last read found it expired. */
  discardExpired(key: string): void {
    const met = this.#met.get(key);
    if (met?.hasExpired !== true || !this.isUsable) return;
    this.#behind(key, 0, () => this.#remove(key, met.revision));
  }

  /**
   * One round of removal of expired results that no caller has looked up since. Returns how many it removed. Never
   * rejects.
   */
  sweep(): Promise<number> {
    return this.#sweep.round();
  }

  /** Removes all results, after an invalidation of everything. */
  clear(): void {
    if (!this.isUsable) return;
    this.#behind("", 0, async () => {
      this.#met.clear();
      this.#clearing = this.#deps.bucket.clear();
      await this.#clearing;
    });
  }

  /** Takes an event of the bus. The trie must have taken it already. */
  hear(event: BusEvent): void {
    if (event.type === "cut") return;
    const { time } = event.version;
    this.#time.hear(time);
    this.#heardTime = time;
    this.#validity.hear(event);
  }

  /**
   * The bus has numbered an invalidation of this node, and the trie has the number. Undefined: a number of another
   * epoch.
   */
  settled(tag: Tag, sequence: number | undefined): void {
    this.#validity.settled(tag, sequence);
  }

  /** Resolves when all writes in progress have ended. */
  async flush(): Promise<void> {
    while (this.#writes.size > 0) await Promise.all(this.#writes);
  }

  /** Closes the bucket. Writes in progress have `timeoutMs` to end before that. */
  async close(timeoutMs: number): Promise<void> {
    await soonerOf(this.#deps.clock, timeoutMs, this.flush());
    await this.#deps.bucket.close();
  }

  // ---- Reading

  async #read(key: string): Promise<{ readonly record: SharedRecord | undefined; readonly time: number; readonly met: MetRecord }> {
    const entry = await this.#deps.bucket.get(key);
    this.#worked();
    // The broker stored it in the past: its clock shows this time or later.
    if (entry !== undefined) this.#time.hear(entry.time);
    const record = this.#recordOf(key, entry);
    const { revision, time } = entry ?? { revision: 0, time: 0 };
    // Without its value, because many are remembered.
    const version = record && { epoch: record.epoch, ownSequence: record.ownSequence };
    const met = { revision, version, hasExpired: record !== undefined && this.#leftMs(record.leftMs, time) <= 0 };
    this.#met.delete(key);
    if (this.#met.size >= keysRememberedMax) this.#met.clear();
    this.#met.set(key, met);
    return { record, time, met };
  }

  #recordOf(key: string, entry: BucketEntry | undefined): SharedRecord | undefined {
    if (entry === undefined) return undefined;
    const record = decodeSharedRecord(entry.payload, key);
    if (record === undefined && entry.payload.length > 0) this.#logForeign(key);
    return record;
  }

  #logForeign(key: string): void {
    if (this.#hasLoggedForeign) return;
    this.#hasLoggedForeign = true;
    this.#deps.log.warn({ key }, "the bucket holds a record that is not a result");
  }

  /** Rest of the life of a record that had `lifeMs` left when the broker stored it at `time`. */
  #leftMs(lifeMs: number, time: number): number {
    const ageMs = Math.max(0, (this.#time.now() ?? Infinity) - time);
    return ageMs > sharedAgeMsMax(this.#deps.bus) ? 0 : lifeMs - ageMs;
  }

  #entryOf({ key, tags, ttlMs, slides, value }: SharedRecord, began: Began, leftMs: number): SharedEntry | undefined {
    try {
      const entry = { value: decodeRecord(value, this.#deps.values).value, tags, ttlMs, slides, leftMs, began };
      this.#hits++;
      return entry;
    } catch {
      this.#logForeign(key);
      return undefined;
    }
  }

  // ---- Writing

  /** Undefined: the value cannot be encoded for other nodes. */
  #encoded(key: string, value: unknown): Uint8Array | undefined {
    try {
      return encodeRecord(value);
    } catch (error) {
      this.#deps.log.warn({ err: error, key }, "a result cannot be shared");
      return undefined;
    }
  }

  #behind(key: string, bytes: number, act: () => Promise<void>): void {
    if (this.#writes.size >= limits.bucketWritesMax || this.#bytesWriting + bytes > limits.bucketWritingBytesMax) {
      this.#failures++;
      return;
    }
    this.#bytesWriting += bytes;
    const write = act()
      .catch((error: unknown) => {
        this.#failed(error, key);
      })
      .finally(() => {
        this.#bytesWriting -= bytes;
        this.#writes.delete(write);
      });
    this.#writes.add(write);
  }

  async #write(record: SharedRecord, payload: Uint8Array): Promise<void> {
    const { key, epoch, ownSequence } = record;
    const judging = staleAfter(record);
    await this.#clearing?.catch(() => undefined);
    let met = this.#met.get(key);
    for (let rounds = 0; rounds < limits.bucketRoundsMax; rounds++) {
      met ??= (await this.#read(key)).met;
      // The last check before the write is sent.
      if (!this.#validity.isKnownValid(record, judging)) return;
      if (met.version?.epoch === epoch && met.version.ownSequence > ownSequence) return;
      const ttlMs = record.leftMs === Infinity ? undefined : record.leftMs;
      const revision = await this.#deps.bucket.put(key, payload, met.revision, ttlMs);
      this.#worked();
      this.#met.delete(key);
      if (revision !== undefined) return;
      met = undefined;
    }
  }

  async #remove(key: string, revision: number): Promise<void> {
    this.#met.delete(key);
    await this.#deps.bucket.remove(revision);
    this.#worked();
  }

  // ---- Failing

  #worked(): void {
    if (!this.#isFailing) return;
    this.#isFailing = false;
    this.#deps.log.info({}, "results are shared again");
  }

  #failed(error: unknown, key: string): void {
    if (error instanceof ClosedError) return;
    this.#failures++;
    if (error instanceof TimeoutError) this.#restsUntilMs = this.#deps.clock.monotonic() + limits.bucketRestMs;
    if (this.#isFailing) return;
    this.#isFailing = true;
    this.#deps.log.warn({ err: error, key }, "results are not shared for now");
  }
}
