import type { Entry } from "../../storage/results/entry-store.js";
import type { MemoryEntryStore } from "../../storage/results/memory-entries.js";
import type { EntrySlot } from "../../storage/results/memory-entry.js";
import { staleRead } from "../../core/object-read.js";
import {
  CircularCallError,
  coversTags,
  type Clock,
  isThenable,
  limits,
  OutsideComputationError,
  rootTag,
  SyncTierError,
  type Tag,
} from "../../core/index.js";
import { abortable } from "../../core/aborting.js";
import type { CacheObservers } from "./observers.js";
import type { Call, Work } from "./cached-work.js";
import { circleAbove, circleThrough } from "./call-circle.js";
import { Computation } from "../tracking/computation.js";
import { beginComputing, currentComputations, endComputing, isAnythingComputing, noteReads } from "../tracking/computations.js";
import { Flight, type FlightDeps } from "./flight.js";
import { Running } from "./running.js";
import { type BeganHere, failureOf, promised, type TierParts, type Tiers } from "./tiers.js";
import { asTags, type Tags } from "./tag-list.js";

/** Dependencies of CachedCalls. */
export interface CachedCallsDeps extends TierParts {
  readonly tiers: Tiers;
}

/** Counts since the cache was opened. */
export interface CallCounts {
  readonly hits: number;
  readonly misses: number;
  /** Computations that other calls may join. */
  readonly flights: number;
  /** Runs of functions. */
  readonly computations: number;
  /** Runs that failed. */
  readonly failures: number;
  /** Calls that joined the computation of another. */
  readonly joined: number;
  /** Flights whose joined calls stopped waiting for them. */
  readonly timeouts: number;
}

/**
 * Answers calls of cached functions: with a kept result, or by one computation for all calls that may share it.
 *
 * 1. The versions of all tags are noted before the function is called, and compared when its result is to be kept.
 * 2. Each dependency of a computation, and of nested calls, is noted in it before it continues.
 * 3. Calls that would wait for each other fail.
 */
export class CachedCalls {
  readonly #isInTouch: (() => boolean) | undefined;
  readonly #tiers: Tiers;
  readonly #memory: MemoryEntryStore;
  /** Results are kept in a bucket too: functions have to return promises. */
  readonly #isShared: boolean;
  readonly #running = new Running();
  readonly #flights = new Map<string, Flight>();
  readonly #flightDeps: FlightDeps;
  /** Number of computations that are not over. While it is 0, no call is part of one. */
  #computing = 0;
  readonly #observers: CacheObservers;
  readonly #clock: Clock;
  #hits = 0;
  readonly #counts = { misses: 0, computations: 0, failures: 0, joined: 0, timeouts: 0 };

  constructor(deps: CachedCallsDeps) {
    const { tiers, clock, log, observers, flightTimeoutMs } = deps;
    this.#observers = observers;
    this.#clock = clock;
    this.#isInTouch = deps.isInTouch;
    this.#tiers = tiers;
    this.#memory = deps.memory;
    this.#isShared = deps.shared !== undefined;
    this.#flightDeps = {
      tiers,
      clock,
      flightTimeoutMs,
      computed: (computation, hasFailed) => this.#computed(computation, hasFailed),
      ended: (flight) => {
        if (this.#flights.get(flight.call.key) === flight) this.#flights.delete(flight.call.key);
      },
      timedOut: ({ computation }) => {
        this.#counts.timeouts++;
        log.warn({ flight: computation.name }, "a computation takes too long");
      },
      flyAgain: (call) => this.#missPromised(call),
    };
  }

  get counts(): CallCounts {
    return { hits: this.#hits, flights: this.#flights.size, ...this.#counts };
  }

  /** The kept result of the slot's key, if it may be served now. The calling computation depends on it from now on. */
  find(slot: EntrySlot, declared?: () => readonly Tag[] | undefined): Entry | undefined {
    return this.#observers.looksUp ? this.#findTimed(slot, declared) : this.#find(slot, declared);
  }

  /** As `find`, for a caller that has the key but no slot. */
  findByKey(key: string): Entry | undefined {
    const entry = this.#isInTouch?.() === false ? undefined : this.#tiers.findByKey(key);
    if (entry !== undefined) this.#hits++;
    if (entry !== undefined) this.#note(key, entry);
    return entry;
  }

  /** Settled promise of a kept result, while no computation could depend on it. Undefined: call `find`. */
  promiseAt(slot: EntrySlot): Promise<unknown> | undefined {
    const promise = this.#memory.promiseAt(slot);
    if (promise === undefined || promise === promised || this.#computing > 0 || this.#observers.looksUp) return undefined;
    if ((slot.entry?.reads !== undefined && isAnythingComputing()) || (this.#isInTouch !== undefined && !this.#isInTouch()))
      return undefined;
    this.#hits++;
    return promise;
  }

  /** The shared entry of `key`, whose own tag is `tag`. The caller depends on `tag` even if there is no entry. */
  async lookUp(key: string, tag: Tag): Promise<Entry | undefined> {
    this.current?.use([tag]);
    if (!this.#tiers.canLookUp) return undefined;
    const found = await this.#tiers.lookUp(key);
    if (found === undefined) this.#tiers.abandon(key);
    else this.#note(key, found.entry);
    return found?.entry;
  }

  /** The return value of a call that `entry` answers: a promise, if the function returns promises. */
  give(entry: Entry, isAsync: boolean): unknown {
    const { promise } = entry;
    if (promise !== undefined && promise !== promised) return promise;
    const failure = failureOf(entry.value);
    if (failure !== undefined) throw failure.error;
    if (promise === undefined && !isAsync) return this.#tiers.give(entry);
    if (!entry.isShared) return Promise.resolve(this.#tiers.give(entry));
    return (entry.promise = this.#tiers.promiseOf(entry.value));
  }

  /** Result of a call that no kept result could answer: joins a flight, or begins one. */
  miss(work: Work, slot: EntrySlot, self: unknown, args: readonly unknown[], signal?: AbortSignal): unknown {
    this.#counts.misses++;
    const call: Call = { work, key: slot.key, slot, self, args, signal, caller: this.current };
    if (signal === undefined) return this.#miss(call);
    // A computation that continues after an abort depends on that moment. Its result is not kept, in any cache.
    const readers = isAnythingComputing() ? currentComputations() : [];
    const gaveUp = () => {
      for (const reader of readers) reader.use([], false);
    };
    if (signal.aborted) {
      gaveUp();
      return Promise.reject(signal.reason as Error);
    }
    const result = this.#miss(call);
    return result instanceof Promise ? abortable(result, signal, gaveUp) : result;
  }

  /** Computes the result again, even if it is kept or is being computed. */
  refresh(work: Work, slot: EntrySlot, self: unknown, args: readonly unknown[]): unknown {
    const call: Call = { work, key: slot.key, slot, self, args, signal: undefined, caller: this.current };
    return this.#refusedCircle(call) ?? this.#compute(call);
  }

  /** The computation that the caller is part of. */
  get current(): Computation | undefined {
    if (this.#computing === 0) return undefined;
    const computation = this.#running.getStore();
    return computation?.isOver === true ? undefined : computation;
  }

  /** Adds `tags` to the running computation. Throws OutsideComputationError, InvalidTagError. */
  addDeps(tags: Tags): void {
    const computation = this.current;
    if (computation === undefined) throw new OutsideComputationError({ called: "addDeps" });
    try {
      computation.use(asTags(tags));
    } catch (error) {
      if (!computation.takes(error)) throw error;
    }
  }

  /** The result that is being computed for `key` is not kept: the key was set, deleted or invalidated. */
  invalidateKey(key: string): void {
    this.#flights.get(key)?.invalidateKey();
  }

  #find(slot: EntrySlot, declared: (() => readonly Tag[] | undefined) | undefined): Entry | undefined {
    if (this.#isInTouch !== undefined && !this.#isInTouch()) return undefined;
    const entry = this.#tiers.find(slot, declared);
    if (entry === undefined) return undefined;
    this.#hits++;
    this.#note(slot.key, entry);
    return entry;
  }

  /** Separate from `#find`, because reading a clock costs more than the look-up. */
  #findTimed(slot: EntrySlot, declared: (() => readonly Tag[] | undefined) | undefined): Entry | undefined {
    const startedMs = this.#clock.monotonic();
    try {
      return this.#find(slot, declared);
    } finally {
      this.#observers.lookedUp(this.#clock.monotonic() - startedMs);
    }
  }

  #missPromised(call: Call): Promise<unknown> {
    try {
      return Promise.resolve(this.#miss(call));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #miss(call: Call): unknown {
    const flight = this.#flights.get(call.key);
    // After its time-out no call joins a flight.
    if (flight === undefined || flight.leftMs === 0)
      return this.#refusedCircle(call) ?? (this.#isShared && this.#looksUp(call) ? this.#lookUp(call) : this.#compute(call));
    const circle = call.caller === undefined ? undefined : circleThrough(flight.computation, call.caller);
    if (circle !== undefined) return Promise.reject(new CircularCallError({ circle: circle.join(" → ") }));
    this.#counts.joined++;
    if (call.work !== flight.call.work) this.#declareAt(flight, call);
    return flight.join(call);
  }

  /** Rejects, or throws, if `call` is part of a computation of its own key: it would wait for itself. */
  #refusedCircle(call: Call): Promise<never> | undefined {
    const circle = circleAbove(call);
    if (circle === undefined) return undefined;
    const error = new CircularCallError({ circle: circle.names.join(" → ") });
    if (circle.isAsync || call.work.isAsync()) return Promise.reject(error);
    throw error;
  }

  #compute(call: Call): unknown {
    const began = this.#tiers.begin();
    const computation = this.#computationOf(call);
    if (++this.#computing === 1) beginComputing(this);
    this.#starts(computation);
    let result: unknown;
    try {
      result = this.#running.run(computation, call.work.compute, call);
    } catch (error) {
      this.#computed(computation, true);
      computation.end();
      return this.#threw(call, computation, began, error);
    }
    if (isThenable(result)) {
      const flight = this.#takeOff(call, computation, began);
      // The function itself may have invalidated the key before it returned its promise, when there was no flight.
      if (this.#tiers.isKeyStale(call.key, began)) flight.invalidateKey();
      flight.follow(this.#checked(result));
      return flight.promise;
    }
    this.#computed(computation, false);
    computation.end();
    if (this.#isShared) throw new SyncTierError({ called: call.work.name });
    call.caller?.use(this.#tiers.tagsFor(call.key, computation.tags), computation.isKeepable);
    call.caller?.useReads(computation.reads);
    this.#tiers.check(result);
    if (!computation.isKeepable || this.#tiers.isKeyStale(call.key, began)) return this.#tiers.give(this.#tiers.hold(result));
    return this.#tiers.give(this.#tiers.keep(call, result, computation, began, false));
  }

  /** Whether to ask the bucket before the function is called: only if the function is known to return a promise. */
  #looksUp(call: Call): boolean {
    return call.work.isAsync() && this.#tiers.canLookUp;
  }

  #computationOf(call: Call): Computation {
    try {
      const tags = call.work.tagsOf(call);
      const computation = new Computation(call, tags);
      // Callers that declare different tags would compute it in turns: it depends on the tags of all of them.
      const others = tags[0] === rootTag ? undefined : this.#tiers.tagsWithout(call.key, tags);
      if (others !== undefined) computation.use(others);
      return computation;
    } catch (error) {
      const computation = new Computation(call, []);
      if (!computation.takes(error)) throw error;
      return computation;
    }
  }

  /** A caller with other options may declare other tags: the result depends on those too. */
  #declareAt(flight: Flight, call: Call): void {
    const { tags, isKeepable } = this.#computationOf(call);
    flight.computation.use(tags, isKeepable);
  }

  /** A flight that looks for the result in the bucket, and computes it if it is not there. */
  #lookUp(call: Call): unknown {
    const computation = this.#computationOf(call);
    if (++this.#computing === 1) beginComputing(this);
    const flight = this.#takeOff(call, computation, this.#tiers.begin());
    flight.follow(this.#foundOrComputed(flight));
    return flight.promise;
  }

  async #foundOrComputed(flight: Flight): Promise<unknown> {
    const { call, computation } = flight;
    const found = await this.#tiers.lookUp(call.key, call.work.rules.staleIfErrorMs);
    if (found !== undefined && failureOf(found.entry.value) === undefined && computation.isKeepable) {
      if (coversTags(found.entry.tags, computation.tags)) return flight.finds(found);
      computation.use(found.entry.tags);
    }
    call.signal?.throwIfAborted();
    // The versions are noted again: the function reads nothing before this point.
    flight.begins(this.#tiers.begin());
    this.#starts(computation);
    const result = this.#running.run(computation, call.work.compute, call);
    if (!isThenable(result)) throw new SyncTierError({ called: call.work.name });
    return this.#checked(result);
  }

  /** Like `result`, but rejects if callers get copies and its value cannot be copied. */
  #checked(result: PromiseLike<unknown>): PromiseLike<unknown> {
    if (!this.#tiers.copies) return result;
    return result.then((value) => {
      this.#tiers.check(value);
      return value;
    });
  }

  #takeOff(call: Call, computation: Computation, began: BeganHere): Flight {
    computation.isAsync = true;
    const flight = new Flight(call, computation, began, this.#flightDeps);
    this.#flights.get(call.key)?.supersede();
    flight.isTracked = this.#flights.size < limits.flightsMax || this.#flights.has(call.key);
    if (flight.isTracked) this.#flights.set(call.key, flight);
    return flight;
  }

  /** Makes the calling computation depend on all that `entry` depends on. */
  #note(key: string, entry: Entry): void {
    if (this.#computing > 0) this.#running.getStore()?.use(this.#tiers.tagsFor(key, entry.tags));
    if (entry.reads !== undefined && isAnythingComputing()) noteReads(entry.reads);
  }

  /** A synchronous function failed. */
  #threw(call: Call, computation: Computation, began: BeganHere, error: unknown): unknown {
    const last = this.#tiers.last(call);
    call.caller?.use(this.#tiers.tagsFor(call.key, computation.tags), computation.isKeepable && last === undefined);
    call.caller?.useReads(computation.reads);
    if (last !== undefined) {
      noteReads([staleRead]);
      return this.#tiers.give(last);
    }
    if (computation.isKeepable && !this.#tiers.isKeyStale(call.key, began)) this.#tiers.keepFailure(call, error, computation, began, false);
    throw error;
  }

  /** Forgets running computations, whose results are not kept. One that never ends would keep the cache in memory. */
  close(): void {
    endComputing(this);
    this.#running.disable();
  }

  /** The function is about to be called. */
  #starts(computation: Computation): void {
    this.#counts.computations++;
    computation.hasStarted = true;
    if (this.#observers.computes) computation.startedMs = this.#clock.monotonic();
  }

  /** The function has returned or thrown, or need not be called. */
  #computed({ hasStarted, startedMs }: Computation, hasFailed: boolean): void {
    if (hasFailed && hasStarted) this.#counts.failures++;
    if (startedMs !== undefined) this.#observers.computed(this.#clock.monotonic() - startedMs, hasFailed);
    if (--this.#computing > 0) return;
    endComputing(this);
    // An AsyncLocalStorage in use makes each await of the process slower, on Node 20 twice as slow; now none needs it.
    this.#running.disable();
  }
}
