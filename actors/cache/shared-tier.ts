import { keyTag } from "../../storage/results/result-key.js";
import type { EntryPosition, Keeping } from "../../storage/results/entry-store.js";
import type { ValueMode } from "../../storage/results/kept-value.js";
import { decodeSharedRecord, encodeSharedRecord, type SharedRecord, staleAfter } from "../../storage/results/shared-record.js";
import type { Began, TagTrie } from "../../storage/results/tag-trie.js";
import { decodeRecord, encodeRecord } from "../../storage/results/value-record.js";
import type { Bucket, BucketEntry } from "../../transport/bucket.js";
import { type Bus, type BusEvent, canRecall } from "../../transport/bus.js";
import { ClosedError, type Clock, limits, type Log, soonerOf, type Tag, TimeoutError } from "../../core/index.js";
import { BrokerTime } from "./broker-time.js";
import { BucketSweep } from "./bucket-sweep.js";
import { SharedValidity } from "./shared-validity.js";

/** What results that nodes share need of their surroundings. */
export interface SharedEntriesDeps {
  readonly bucket: Bucket;
  /** Its numbers are those of all nodes. */
  readonly bus: Bus;
  /** Knows which invalidations of this node have no number yet. */
  readonly trie: TagTrie;
  /** How what is found is given out. */
  readonly values: ValueMode;
  readonly clock: Clock;
  readonly log: Log;
  /** Whether what is known here may be relied on; undefined: always. */
  readonly isInTouch: (() => boolean) | undefined;
}

/** A result that another node computed, or this one before. */
export interface SharedEntry {
  readonly value: unknown;
  readonly tags: readonly Tag[];
  readonly ttlMs: number | undefined;
  readonly slides: boolean;
  /** Infinity: it has no time to live. */
  readonly leftMs: number;
  /** From when on it is to be judged in memory. */
  readonly began: Began;
}

/** How a result is shared. */
export interface Sharing extends Keeping<EntryPosition> {
  /** Sequence of the invalidation by which it was set. */
  readonly ownSequence?: number | undefined;
}

/** What happened with the bucket since the cache was opened. */
export interface BucketCounts {
  /** Results that were found in the bucket. */
  readonly bucketHits: number;
  /** Requests to it that failed, or were left out because too many were under way. */
  readonly bucketFailures: number;
}

/** Of a cache without a bucket. */
export const noBucketCounts: BucketCounts = { bucketHits: 0, bucketFailures: 0 };

/** What is remembered of what was met for a key: its revision, 0 for nothing, and the version of what can be read there. */
interface MetRecord {
  readonly revision: number;
  readonly version: Pick<SharedRecord, "epoch" | "ownSequence"> | undefined;
  readonly hasExpired: boolean;
}

/** Keys of which is remembered what was met: their next write needs not look again. */
const keysRememberedMax = 10_000;
/** How long results are kept in a bucket, at most: none outlives the invalidations that it is compared with. */
export function sharedAgeMsMax(bus: Bus | undefined): number {
  return Math.min(limits.busHistoryMs, bus !== undefined && canRecall(bus) ? bus.recallAgeMsMax : limits.busHistoryMs);
}

/**
 * Results in a bucket that the nodes of a cache share.
 *
 * 1. What is found is given only if it is valid when it lands (SharedValidity).
 * 2. What is written bears what was known when its computation began, and is judged again before it is written. Nothing is written over
 *    a result of a later version of the same epoch.
 * 3. Times to live count on the broker's clock, from when it took the record.
 * 4. It delays nobody for longer than the bucket's time-out and the bus's, and fails nobody. Where this node does not follow the bus, or after
 *    a time-out for a while, it is passed by.
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
  /** By the broker's clock: when it took what was heard last. */
  #heardTime = 0;
  #began: EntryPosition | undefined;
  /** What is written after it would go with the rest. */
  #clearing: Promise<void> | undefined;
  #bytesWriting = 0;
  #restsUntilMs = -Infinity;
  #isFailing = false;
  #hasToldForeign = false;
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

  /** Whether it is worth asking now. */
  get isUsable(): boolean {
    const { bus, clock, isInTouch } = this.#deps;
    if (this.#validity.epoch === undefined || bus.state.type !== "following" || isInTouch?.() === false) return false;
    return clock.monotonic() >= this.#restsUntilMs && this.#time.now() !== undefined;
  }

  /** What a computation that begins now knows; undefined: not enough to share its result. */
  begin(): EntryPosition | undefined {
    const { epoch } = this.#validity;
    if (epoch === undefined || this.#deps.bus.state.type !== "following") return undefined;
    const { sequence } = this.#deps.trie;
    if (this.#began?.sequence !== sequence || this.#began.epoch !== epoch) {
      this.#began = { epoch, sequence, time: this.#heardTime };
    }
    return this.#began;
  }

  /** The result of `key` that may be given now. Never rejects. */
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

  /** Writes it behind, if it is still worth it then. What cannot be written is in memory only. */
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

  /** Removes what `sequence` made stale, where nothing else will take its place. */
  discard(key: string, sequence: number): void {
    if (!this.isUsable) return;
    this.#behind(key, 0, async () => {
      const { revision, version } = (await this.#read(key)).met;
      if (version === undefined || (version.epoch === this.#validity.epoch && version.ownSequence >= sequence)) return;
      await this.#remove(key, revision);
    });
  }

  /** Removes what was found for `key` to have expired. */
  discardExpired(key: string): void {
    const met = this.#met.get(key);
    if (met?.hasExpired !== true || !this.isUsable) return;
    this.#behind(key, 0, () => this.#remove(key, met.revision));
  }

  /** Removes what has expired and nobody has looked for since, as much as a round does: how many those were. Never rejects. */
  sweep(): Promise<number> {
    return this.#sweep.round();
  }

  /** Removes all, after everything was invalidated. */
  clear(): void {
    if (!this.isUsable) return;
    this.#behind("", 0, async () => {
      this.#met.clear();
      this.#clearing = this.#deps.bucket.clear();
      await this.#clearing;
    });
  }

  /** Takes an event of the bus. The trie must have it already. */
  hear(event: BusEvent): void {
    if (event.type === "cut") return;
    const { time } = event.version;
    this.#time.hear(time);
    this.#heardTime = time;
    this.#validity.hear(event);
  }

  /** The bus has numbered an invalidation of this node, and the trie has the number. Undefined: it is of another epoch. */
  settled(tag: Tag, sequence: number | undefined): void {
    this.#validity.settled(tag, sequence);
  }

  /** Resolves when all that was being written is, or has failed. */
  async flush(): Promise<void> {
    while (this.#writes.size > 0) await Promise.all(this.#writes);
  }

  /** What is being written has `timeoutMs` to end. */
  async close(timeoutMs: number): Promise<void> {
    await soonerOf(this.#deps.clock, timeoutMs, this.flush());
    await this.#deps.bucket.close();
  }

  // ---- Reading

  async #read(key: string): Promise<{ readonly record: SharedRecord | undefined; readonly time: number; readonly met: MetRecord }> {
    const entry = await this.#deps.bucket.get(key);
    this.#worked();
    // The broker took it in the past: its clock is at this time or later.
    if (entry !== undefined) this.#time.hear(entry.time);
    const record = this.#recordOf(key, entry);
    const { revision, time } = entry ?? { revision: 0, time: 0 };
    // Without its value: many are remembered.
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
    if (record === undefined && entry.payload.length > 0) this.#tellForeign(key);
    return record;
  }

  #tellForeign(key: string): void {
    if (this.#hasToldForeign) return;
    this.#hasToldForeign = true;
    this.#deps.log.warn({ key }, "the bucket holds something that is no result");
  }

  /** Of what the broker took at `time`, with `lifeMs` left to live then. */
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
      this.#tellForeign(key);
      return undefined;
    }
  }

  // ---- Writing

  /** Undefined: nobody else could read it. */
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
      // It is judged last before it is sent.
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
