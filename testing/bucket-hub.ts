import type { Bucket, BucketEntry, BucketItem } from "../transport/bucket.js";
import { type Chance, type Clock, ClosedError, delay, DisconnectedError, limits, TimeoutError, TooLargeError } from "../words/index.js";

/** What is wrong with a bucket in memory. Chances are in [0, 1], times in milliseconds. */
export interface BucketFaults {
  /** One way, to the broker or back. */
  readonly delayMsMin: number;
  readonly delayMsMax: number;
  /** Chance that a request does not reach the broker: nothing is done, and nothing answered. */
  readonly lossOfRequests: number;
  /** Chance that what was done is not answered. */
  readonly lossOfAnswers: number;
  /** Readers may be answered with what was there so long ago at most. */
  readonly lagMsMax: number;
}

/** No faults, no time. */
export const soundBucket: BucketFaults = { delayMsMin: 0, delayMsMax: 0, lossOfRequests: 0, lossOfAnswers: 0, lagMsMax: 0 };

/** Seams of a hub of buckets. */
export interface BucketHubOptions {
  /** The broker's: what is put bears the time of its wall clock. */
  readonly clock: Clock;
  readonly chance: Chance;
  readonly faults?: BucketFaults;
  /** What was put goes after this. */
  readonly ageMsMax?: number;
  /** What is put with a time to live goes by it; as in older servers it does not. Default: true. */
  readonly knowsTimesToLive?: boolean;
}

/** One end of a hub's bucket. */
export interface BucketEnd extends Bucket {
  /** Without a link every call rejects at once, those under way too. */
  cut(): void;
  mend(): void;
}

/** The broker of a bucket in memory, whose ends are buckets that share it. */
export interface BucketHub {
  faults: BucketFaults;
  /** `clock` is the one of the place where it is used; the hub's unless told. Keys of two prefixes never meet. */
  connect(options?: { readonly clock?: Clock; readonly prefix?: string; readonly timeoutMs?: number }): BucketEnd;
  /** The broker loses all it has, the count of its revisions too. */
  empty(): void;
  /** What is there for a key, for tests that look. */
  peek(key: string, prefix?: string): BucketEntry | undefined;
  /** What somebody else writes there, whatever it is. */
  plant(key: string, payload: Uint8Array, prefix?: string): void;
}

/** A bucket in memory for tests and simulation, with the faults it is told to have. */
export function createBucketHub(options: BucketHubOptions): BucketHub {
  return new Hub(options);
}

/** A revision, and when it came and went, on the broker's monotonic clock. */
interface Stored extends BucketEntry {
  readonly fromMs: number;
  readonly expiresMs: number;
}

/** What there was for a key: the latest, and what a reader that lags may still see. Undefined payloads are removals. */
interface Place {
  readonly key: string;
  readonly prefix: string;
  readonly past: { readonly fromMs: number; readonly stored: Stored | undefined }[];
}

const pastMax = 8;

class Hub implements BucketHub {
  faults: BucketFaults;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly #ageMsMax: number;
  readonly #knowsTimesToLive: boolean;
  readonly #places = new Map<string, Place>();
  #revision = 0;

  constructor({ clock, chance, faults = soundBucket, ageMsMax = Infinity, knowsTimesToLive = true }: BucketHubOptions) {
    this.clock = clock;
    this.chance = chance;
    this.faults = faults;
    this.#ageMsMax = ageMsMax;
    this.#knowsTimesToLive = knowsTimesToLive;
  }

  connect(options: { readonly clock?: Clock; readonly prefix?: string; readonly timeoutMs?: number } = {}): BucketEnd {
    return new End(this, options.clock ?? this.clock, options.prefix ?? "", options.timeoutMs ?? limits.bucketTimeoutMs);
  }

  empty(): void {
    this.#places.clear();
    this.#revision = 0;
  }

  peek(key: string, prefix = ""): BucketEntry | undefined {
    return this.read(prefix, key, 0);
  }

  plant(key: string, payload: Uint8Array, prefix = ""): void {
    this.#store(prefix, key, payload, Infinity);
  }

  read(prefix: string, key: string, lagMs: number): BucketEntry | undefined {
    const nowMs = this.clock.monotonic();
    const past = this.#places.get(placeName(prefix, key))?.past ?? [];
    const seen = past.findLast(({ fromMs }) => fromMs <= nowMs - lagMs)?.stored;
    if (seen === undefined || seen.expiresMs <= nowMs) return undefined;
    return { payload: Uint8Array.from(seen.payload), revision: seen.revision, time: seen.time };
  }

  write(prefix: string, key: string, payload: Uint8Array, expected: number, ttlMs: number): number | undefined {
    const there = this.read(prefix, key, 0)?.revision ?? 0;
    return there === expected ? this.#store(prefix, key, payload, ttlMs) : undefined;
  }

  remove(prefix: string, key: string, revision: number): boolean {
    if (this.read(prefix, key, 0)?.revision !== revision) return false;
    this.#note(prefix, key, undefined);
    return true;
  }

  clear(prefix: string): void {
    for (const place of this.#places.values()) if (place.prefix === prefix) this.#note(prefix, place.key, undefined);
  }

  *items(prefix: string): Iterable<BucketItem> {
    for (const place of [...this.#places.values()]) {
      const entry = place.prefix === prefix ? this.read(prefix, place.key, 0) : undefined;
      if (entry === undefined) continue;
      yield { key: place.key, revision: entry.revision, time: entry.time, bytes: entry.payload.length };
    }
  }

  #store(prefix: string, key: string, payload: Uint8Array, ttlMs: number): number {
    const fromMs = this.clock.monotonic();
    const revision = ++this.#revision;
    const expiresMs = fromMs + Math.min(this.#knowsTimesToLive ? ttlMs : Infinity, this.#ageMsMax);
    this.#note(prefix, key, { payload: Uint8Array.from(payload), revision, time: this.clock.now(), fromMs, expiresMs });
    return revision;
  }

  #note(prefix: string, key: string, stored: Stored | undefined): void {
    const name = placeName(prefix, key);
    const place = this.#places.get(name) ?? { key, prefix, past: [] };
    this.#places.set(name, place);
    place.past.push({ fromMs: this.clock.monotonic(), stored });
    if (place.past.length > pastMax) place.past.shift();
  }
}

function placeName(prefix: string, key: string): string {
  return `${prefix}\n${key}`;
}

class End implements BucketEnd {
  readonly kind = "in-memory";
  readonly payloadBytesMax = limits.payloadBytesMax;
  readonly #hub: Hub;
  readonly #clock: Clock;
  readonly #prefix: string;
  readonly #timeoutMs: number;
  #link = new AbortController();
  #isClosed = false;

  constructor(hub: Hub, clock: Clock, prefix: string, timeoutMs: number) {
    this.#hub = hub;
    this.#clock = clock;
    this.#prefix = prefix;
    this.#timeoutMs = timeoutMs;
  }

  cut(): void {
    this.#link.abort(new DisconnectedError({ address: "bucket" }));
  }

  mend(): void {
    if (!this.#isClosed) this.#link = new AbortController();
  }

  get(key: string): Promise<BucketEntry | undefined> {
    const { faults, chance } = this.#hub;
    return this.#ask("get", () => this.#hub.read(this.#prefix, key, faults.lagMsMax * chance.fraction()));
  }

  async put(key: string, payload: Uint8Array, expected: number, ttlMs = Infinity): Promise<number | undefined> {
    const size = payload.length;
    if (size > this.payloadBytesMax) throw new TooLargeError({ what: key, size, sizeMax: this.payloadBytesMax });
    const sent = Uint8Array.from(payload);
    return this.#ask("put", () => this.#hub.write(this.#prefix, key, sent, expected, ttlMs));
  }

  remove(key: string, revision: number): Promise<boolean> {
    return this.#ask("remove", () => this.#hub.remove(this.#prefix, key, revision));
  }

  clear(): Promise<void> {
    return this.#ask("clear", () => this.#hub.clear(this.#prefix));
  }

  async *list(itemsMax: number): AsyncIterable<BucketItem> {
    let left = itemsMax;
    for (const item of await this.#ask("list", () => [...this.#hub.items(this.#prefix)])) {
      if (left-- <= 0) return;
      yield item;
    }
  }

  close(): Promise<void> {
    this.#isClosed = true;
    this.#link.abort(new ClosedError({ what: "bucket" }));
    // One that was cut before has another reason.
    this.#link = new AbortController();
    this.#link.abort(new ClosedError({ what: "bucket" }));
    return Promise.resolve();
  }

  async #ask<T>(what: string, act: () => T): Promise<T> {
    const { signal } = this.#link;
    signal.throwIfAborted();
    const begunMs = this.#clock.monotonic();
    const timeout = () => new TimeoutError({ what: `bucket ${what}`, timeoutMs: this.#timeoutMs });
    const wait = async (isLost: boolean): Promise<void> => {
      const { delayMsMin, delayMsMax } = this.#hub.faults;
      const leftMs = this.#timeoutMs - (this.#clock.monotonic() - begunMs);
      const delayMs = isLost ? Infinity : delayMsMin + (delayMsMax - delayMsMin) * this.#hub.chance.fraction();
      if (delayMs > 0) await delay(this.#clock, Math.max(0, Math.min(delayMs, leftMs)), signal);
      if (delayMs > leftMs) throw timeout();
    };
    await wait(this.#hub.chance.fraction() < this.#hub.faults.lossOfRequests);
    signal.throwIfAborted();
    const result = act();
    await wait(this.#hub.chance.fraction() < this.#hub.faults.lossOfAnswers);
    signal.throwIfAborted();
    return result;
  }
}
