import { setMaxListeners } from "node:events";
import type { Bucket, BucketEntry, BucketItem } from "../transport/bucket.js";
import { checkSize, type Random, type Clock, ClosedError, delay, DisconnectedError, limits, TimeoutError } from "../core/index.js";

/** Faults of a bucket in memory. Chances are in [0, 1], times in milliseconds. */
export interface BucketFaults {
  /** One-way delay, to the broker or back. */
  readonly delayMsMin: number;
  readonly delayMsMax: number;
  /** Chance that a request is lost: the broker does nothing and does not answer. */
  readonly lossOfRequests: number;
  /** Chance that the broker carries out a request and its answer is lost. */
  readonly lossOfAnswers: number;
  /** A reader may see the state of at most this long ago. */
  readonly lagMsMax: number;
}

/** No faults, no delays. */
export const soundBucket: BucketFaults = { delayMsMin: 0, delayMsMax: 0, lossOfRequests: 0, lossOfAnswers: 0, lagMsMax: 0 };

/** Seams of a hub of buckets. */
export interface BucketHubOptions {
  /** Clock of the broker. An entry bears the time of its wall clock. */
  readonly clock: Clock;
  readonly random: Random;
  readonly faults?: BucketFaults;
  /** Age at which an entry expires. Default: it never does. */
  readonly ageMsMax?: number;
  /** Whether an entry expires at its own time to live, which older servers ignore. Default: true. */
  readonly knowsTimesToLive?: boolean;
}

/** One end of a hub's bucket. */
export interface BucketEnd extends Bucket {
  /** Drops the link. Without a link every call rejects at once; calls in flight reject too. */
  cut(): void;
  mend(): void;
}

/** The broker of a bucket in memory. Its ends are buckets that share its entries. */
export interface BucketHub {
  faults: BucketFaults;
  /** `clock` is the clock of the end's process. Default: the hub's clock. The keys of two prefixes are separate. */
  connect(options?: { readonly clock?: Clock; readonly prefix?: string; readonly timeoutMs?: number }): BucketEnd;
  /** The broker loses all entries, and its revision count too. */
  empty(): void;
  /** The current entry of `key`, for tests that inspect the broker. */
  peek(key: string, prefix?: string): BucketEntry | undefined;
  /** Stores an entry with any payload, as a foreign writer does. */
  plant(key: string, payload: Uint8Array, prefix?: string): void;
}

/** Makes a bucket in memory for tests and simulation, with the faults of `options.faults`. */
export function createBucketHub(options: BucketHubOptions): BucketHub {
  return new Hub(options);
}

/** A revision, and when it was stored and when it expires, on the broker's monotonic clock. */
interface Stored extends BucketEntry {
  readonly fromMs: number;
  readonly expiresMs: number;
  readonly ttlMs: number | undefined;
}

/**
 * Past states of a key: the latest, and the older ones that a lagging reader may still see. An undefined `stored` is a
 * removal.
 */
interface Slot {
  readonly key: string;
  readonly prefix: string;
  readonly past: { readonly fromMs: number; readonly stored: Stored | undefined }[];
}

const pastMax = 8;

class Hub implements BucketHub {
  faults: BucketFaults;
  readonly clock: Clock;
  readonly random: Random;
  readonly knowsTimesToLive: boolean;
  readonly #ageMsMax: number;
  readonly #slots = new Map<string, Slot>();
  #revision = 0;

  constructor({ clock, random, faults = soundBucket, ageMsMax = Infinity, knowsTimesToLive = true }: BucketHubOptions) {
    this.clock = clock;
    this.random = random;
    this.faults = faults;
    this.#ageMsMax = ageMsMax;
    this.knowsTimesToLive = knowsTimesToLive;
  }

  connect(options: { readonly clock?: Clock; readonly prefix?: string; readonly timeoutMs?: number } = {}): BucketEnd {
    return new End(this, options.clock ?? this.clock, options.prefix ?? "", options.timeoutMs ?? limits.bucketTimeoutMs);
  }

  empty(): void {
    this.#slots.clear();
    this.#revision = 0;
  }

  peek(key: string, prefix = ""): BucketEntry | undefined {
    return this.read(prefix, key, 0);
  }

  plant(key: string, payload: Uint8Array, prefix = ""): void {
    this.#store(prefix, key, payload, undefined);
  }

  read(prefix: string, key: string, lagMs: number): BucketEntry | undefined {
    const seen = this.#seen(this.#slots.get(placeName(prefix, key)), lagMs);
    return seen && { payload: Uint8Array.from(seen.payload), revision: seen.revision, time: seen.time };
  }

  write(prefix: string, key: string, payload: Uint8Array, expected: number, ttlMs: number | undefined): number | undefined {
    const there = this.read(prefix, key, 0)?.revision ?? 0;
    return there === expected ? this.#store(prefix, key, payload, ttlMs) : undefined;
  }

  remove(prefix: string, revision: number): boolean {
    for (const slot of this.#slots.values()) {
      if (slot.prefix !== prefix || this.#seen(slot)?.revision !== revision) continue;
      this.#note(prefix, slot.key, undefined);
      return true;
    }
    return false;
  }

  clear(prefix: string): void {
    for (const slot of this.#slots.values()) if (slot.prefix === prefix) this.#note(prefix, slot.key, undefined);
  }

  items(prefix: string, from: number): BucketItem[] {
    const items: BucketItem[] = [];
    for (const slot of this.#slots.values()) {
      const stored = slot.prefix === prefix ? this.#seen(slot) : undefined;
      if (stored === undefined || stored.revision < from) continue;
      items.push({ revision: stored.revision, time: stored.time, ttlMs: stored.ttlMs });
    }
    return items.sort((one, other) => one.revision - other.revision);
  }

  /** The revision that a reader sees when it lags by `lagMs`. */
  #seen(slot: Slot | undefined, lagMs = 0): Stored | undefined {
    const nowMs = this.clock.monotonic();
    const seen = slot?.past.findLast(({ fromMs }) => fromMs <= nowMs - lagMs)?.stored;
    return seen === undefined || seen.expiresMs <= nowMs ? undefined : seen;
  }

  #store(prefix: string, key: string, payload: Uint8Array, ttlMs: number | undefined): number {
    const fromMs = this.clock.monotonic();
    const revision = ++this.#revision;
    const lifeMs = Math.min(ttlMs ?? Infinity, this.#ageMsMax);
    const expiresMs = fromMs + (this.knowsTimesToLive ? lifeMs : this.#ageMsMax);
    const stored = { payload: Uint8Array.from(payload), revision, time: this.clock.now(), fromMs, expiresMs };
    this.#note(prefix, key, { ...stored, ttlMs: ttlMs === undefined ? undefined : Math.ceil(lifeMs) });
    return revision;
  }

  #note(prefix: string, key: string, stored: Stored | undefined): void {
    const name = placeName(prefix, key);
    const slot = this.#slots.get(name) ?? { key, prefix, past: [] };
    this.#slots.set(name, slot);
    slot.past.push({ fromMs: this.clock.monotonic(), stored });
    if (slot.past.length > pastMax) slot.past.shift();
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
  #link = newLink();
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
    if (!this.#isClosed) this.#link = newLink();
  }

  get(key: string): Promise<BucketEntry | undefined> {
    const { faults, random } = this.#hub;
    return this.#ask("get", () => this.#hub.read(this.#prefix, key, faults.lagMsMax * random.fraction()));
  }

  async put(key: string, payload: Uint8Array, expected: number, ttlMs?: number): Promise<number | undefined> {
    checkSize(key, payload.length, this.payloadBytesMax);
    const sent = Uint8Array.from(payload);
    return this.#ask("put", () => this.#hub.write(this.#prefix, key, sent, expected, ttlMs));
  }

  remove(revision: number): Promise<boolean> {
    return this.#ask("remove", () => this.#hub.remove(this.#prefix, revision));
  }

  clear(): Promise<void> {
    return this.#ask("clear", () => this.#hub.clear(this.#prefix));
  }

  keepsExpired(): Promise<boolean> {
    return this.#ask("keepsExpired", () => !this.#hub.knowsTimesToLive);
  }

  list(from: number, itemsMax: number): Promise<readonly BucketItem[]> {
    return this.#ask("list", () => this.#hub.items(this.#prefix, from).slice(0, itemsMax));
  }

  close(): Promise<void> {
    this.#isClosed = true;
    this.#link.abort(new ClosedError({ what: "bucket" }));
    // If the link was cut before, its signal has another reason: replace it.
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
      const delayMs = isLost ? Infinity : delayMsMin + (delayMsMax - delayMsMin) * this.#hub.random.fraction();
      if (delayMs > 0) await delay(this.#clock, Math.max(0, Math.min(delayMs, leftMs)), signal);
      if (delayMs > leftMs) throw timeout();
    };
    await wait(this.#hub.random.fraction() < this.#hub.faults.lossOfRequests);
    signal.throwIfAborted();
    const result = act();
    await wait(this.#hub.random.fraction() < this.#hub.faults.lossOfAnswers);
    signal.throwIfAborted();
    return result;
  }
}

function newLink(): AbortController {
  const link = new AbortController();
  // Each request in flight listens to the signal.
  setMaxListeners(0, link.signal);
  return link;
}
