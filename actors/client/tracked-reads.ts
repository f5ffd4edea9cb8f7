import type { ClientCache, LoadTicket } from "../../storage/client-cache/client-cache.js";
import { type ObjectRead, staleRead } from "../../core/object-read.js";
import type { Clock, Tid } from "../../core/index.js";
import type { Computation } from "../tracking/computation.js";
import { currentComputations } from "../tracking/computations.js";

/** The snapshot that a read belongs to. */
export interface ReadContext {
  readonly cache: ClientCache;
  readonly snapshot: Tid;
  /** Begun with the snapshot, where a computation was asking then: what was changed since is remembered. */
  readonly ticket: LoadTicket | undefined;
}

/** Who asks depends on `key`, whose revision of `serial` it is about to be given. */
export function noteFound({ cache, snapshot }: ReadContext, key: string, serial: Tid): void {
  const readers = currentComputations();
  if (readers.length === 0) return;
  tell(readers, cache.foundAt(cache.reads.key(key, cache.position.tid), snapshot, serial));
}

/** What the calling computations give is of the moment and not kept: they use something that may be otherwise soon, and nobody tells when. */
export function noteMomentary(): void {
  tell(currentComputations(), staleRead);
}

/** Settles as `attempt` does. If it rejects, what the calling computations give is of the moment. */
export function noteFailure<T>(attempt: Promise<T>): Promise<T> {
  const readers = currentComputations();
  return readers.length === 0 ? attempt : noted(attempt, readers);
}

/** Settles as `reading` does. Until it settles, what the calling computations give is of the moment: they did not wait for it. */
export function noteUnderWay<T>(reading: Promise<T>): Promise<T> {
  const readers = currentComputations();
  return readers.length === 0 ? reading : countedBy(readers, reading);
}

/** Both: of what the calling computations do not wait for, or cannot read, they give a result of the moment. */
export function noteReading<T>(reading: Promise<T>): Promise<T> {
  return noteUnderWay(noteFailure(reading));
}

async function noted<T>(attempt: Promise<T>, readers: readonly Computation[]): Promise<T> {
  try {
    return await attempt;
  } catch (error) {
    tell(readers, staleRead);
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

/** Who asks, as one of its rows is read too, depends on a listing: on its prefix, however little of it is read. */
export function noteListed({ cache, snapshot, ticket }: ReadContext, prefix: string): () => void {
  const told = new Set<Computation>();
  return () => {
    const readers = currentComputations().filter((reader) => !told.has(reader));
    if (readers.length === 0) return;
    for (const reader of readers) told.add(reader);
    tell(readers, cache.listedAt(cache.reads.prefix(prefix, cache.position.tid), snapshot, ticket));
  };
}

/**
 * Results of computations that asked for a snapshot no older than so long: they are kept for as long as the client knows that its snapshot
 * is no older. A read in their place would be refused after that, or ask the server.
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

  /** Who asks depends on the snapshot being no older than `maxStaleMs`. */
  note(maxStaleMs: number): void {
    if (maxStaleMs === Infinity) return;
    const readers = currentComputations();
    if (readers.length > 0) tell(readers, this.#age(maxStaleMs));
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

function tell(readers: readonly Computation[], read: ObjectRead): void {
  for (const reader of readers) reader.useReads([read]);
}
