import type { ClientCache, LoadTicket } from "../../storage/client-cache/client-cache.js";
import { type Clock, type ObjectRead, staleRead, type Tid } from "../../core/index.js";
import type { Computation } from "../tracking/computation.js";
import { currentComputations } from "../tracking/computations.js";

/** The snapshot that a read belongs to. */
export interface ReadContext {
  readonly cache: ClientCache;
  readonly snapshot: Tid;
  /**
   * Begun with the snapshot, so that the cache remembers the invalidations since then. Undefined if no computation ran
   * then.
   */
  readonly ticket: LoadTicket | undefined;
}

/** Adds `key` to the reads of the calling computations. `serial`: of the revision that the read returns. */
export function noteFound({ cache, snapshot }: ReadContext, key: string, serial: Tid): void {
  const readers = currentComputations();
  if (readers.length === 0) return;
  addRead(readers, cache.foundAt(cache.reads.key(key, cache.position.tid), snapshot, serial));
}

/**
 * The results of the calling computations are returned, but not kept: they use data that may change at any time without
 * notice.
 */
export function noteMomentary(): void {
  addRead(currentComputations(), staleRead);
}

/** Settles as `attempt` does. If it rejects, the results of the calling computations are not kept. */
export function noteFailure<T>(attempt: Promise<T>): Promise<T> {
  const readers = currentComputations();
  return readers.length === 0 ? attempt : noted(attempt, readers);
}

/**
 * Settles as `reading` does. The results of calling computations that end earlier are not kept: they did not wait for
 * it.
 */
export function noteUnderWay<T>(reading: Promise<T>): Promise<T> {
  const readers = currentComputations();
  return readers.length === 0 ? reading : countedBy(readers, reading);
}

/**
 * Settles as `reading` does. The results of calling computations are not kept if they end earlier, or if it rejects.
 */
export function noteReading<T>(reading: Promise<T>): Promise<T> {
  return noteUnderWay(noteFailure(reading));
}

async function noted<T>(attempt: Promise<T>, readers: readonly Computation[]): Promise<T> {
  try {
    return await attempt;
  } catch (error) {
    addRead(readers, staleRead);
    throw error;
  }
}

async function countedBy<T>(readers: readonly Computation[], reading: Promise<T>): Promise<T> {
  for (const reader of readers) reader.beginRead();
  try {
    return await reading;
  } finally {
    for (const reader of readers) reader.endRead();
  }
}

/**
 * Returns a function that adds a listing to the reads of the calling computations. Call it for each page and after each
 * row: each row may have another reader. The dependency is the listing's prefix, however little of it is read.
 */
export function noteListed({ cache, snapshot, ticket }: ReadContext, prefix: string): () => void {
  const known = new Set<Computation>();
  return () => {
    const readers = currentComputations().filter((reader) => !known.has(reader));
    if (readers.length === 0) return;
    for (const reader of readers) known.add(reader);
    addRead(readers, cache.listedAt(cache.reads.prefix(prefix, cache.position.tid), snapshot, ticket));
  };
}

/**
 * Keeps the results of computations that asked for a snapshot no older than a number of milliseconds, as long as the
 * client knows that its snapshot is no older. After that, the same read would be refused, or would ask the server.
 */
export class NotedAges {
  readonly #cache: ClientCache;
  readonly #clock: Clock;
  readonly #staleMs: () => number;
  readonly #timers = new Map<ObjectRead, unknown>();

  constructor(cache: ClientCache, clock: Clock, staleMs: () => number) {
    this.#cache = cache;
    this.#clock = clock;
    this.#staleMs = staleMs;
  }

  /** Makes the results of the calling computations depend on a snapshot that is no older than `maxStaleMs`. */
  note(maxStaleMs: number): void {
    if (maxStaleMs === Infinity) return;
    const readers = currentComputations();
    if (readers.length > 0) addRead(readers, this.#age(maxStaleMs));
  }

  close(): void {
    for (const timer of this.#timers.values()) this.#clock.clearTimeout(timer);
    this.#timers.clear();
  }

  #age(maxStaleMs: number): ObjectRead {
    if (this.#staleMs() >= maxStaleMs) return staleRead;
    const { read, isNew } = this.#cache.reads.age(maxStaleMs, this.#cache.position.tid, () => this.#staleMs() >= maxStaleMs);
    if (isNew) this.#watch(read, maxStaleMs);
    return read;
  }

  #watch(read: ObjectRead, maxStaleMs: number): void {
    const leftMs = maxStaleMs - this.#staleMs();
    const look = () => {
      this.#timers.delete(read);
      if (read.isStale) return;
      if (read.holds > 0 && this.#staleMs() < maxStaleMs) this.#watch(read, maxStaleMs);
      else this.#cache.reads.end(read);
    };
    this.#timers.set(read, this.#clock.setTimeout(look, Math.ceil(leftMs)));
  }
}

function addRead(readers: readonly Computation[], read: ObjectRead): void {
  for (const reader of readers) reader.useReads([read]);
}
