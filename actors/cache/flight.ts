import type { Entry } from "../../storage/results/entry-store.js";
import type { KeptValue } from "../../storage/results/kept-value.js";
import { type Clock, type Deferred, deferred, isAnyStale, staleRead, TimeoutError } from "../../core/index.js";
import type { Call } from "./cached-work.js";
import { type Computation, noReads } from "../tracking/computation.js";
import { currentComputations, isAnythingComputing } from "../tracking/computations.js";
import { FlightWaiter } from "./flight-waiter.js";
import type { BeganHere, FoundHere, Tiers } from "./tiers.js";

/** Dependencies of a flight. */
export interface FlightDeps {
  readonly tiers: Tiers;
  readonly clock: Clock;
  readonly flightTimeoutMs: number;
  /** The function of a flight has returned, or failed. */
  readonly computed: (computation: Computation, hasFailed: boolean) => void;
  /** The flight has ended or timed out: the next call begins another. */
  readonly ended: (flight: Flight) => void;
  readonly timedOut: (flight: Flight) => void;
  /** Begins a new flight for `call`, and returns its result. */
  readonly flyAgain: (call: Call) => Promise<unknown>;
}

/**
 * One computation of a cached result, and all calls that wait for it.
 *
 *     leader      the call that began it; waits however long it takes
 *     followers   joined while nothing had been invalidated or changed since it began: get every outcome
 *     patient     joined in the same way, but the leader's signal may abort: as followers, but for such an abort
 *     late        joined after an invalidation or a change, or while this node is out of touch with the bus: get the
 *                 outcome, a failure too, only if it is valid at its end and this node is in touch then
 *
 *     how it ends                  leader              followers, patient   late
 *     returned, valid              result, kept        result              result
 *     returned, stale              result              result              one new flight
 *     threw, valid                 error, kept         error               error
 *     threw, stale                 error               error               one new flight
 *     threw, leader aborted        error               one new flight      one new flight
 *     flightTimeout                waits on            TimeoutError        TimeoutError
 *
 * If `staleIfError` allows it, calls get a last value instead of an error, and the error is not kept; not so after an
 * abort of the leader. A leader that can abort has no followers: they are patient.
 *
 * 1. A call that begins after an invalidation was applied gets no result and no failure of a flight that began before
 *    it, unless that is valid at its end: nothing that the function used was invalidated since the flight began.
 * 2. Calls that get a new flight share one, and get its result however much is invalidated meanwhile. Its function runs
 *    in the context of one of them.
 * 3. The abort of one call ends no other call's wait.
 * 4. While this node is out of touch, a call gets nothing that was read before the call began.
 *
 * A flight is straight code, not a machine: it makes one decision, at its end, and a pure transition of XState would
 * cost more than all the rest of a flight.
 *
 * Source: DESIGN "Flights", promise 11; INTERLEAVINGS B1; Convex's `application/cache`.
 */
export class Flight {
  readonly computation: Computation;
  readonly call: Call;
  /** Result for the leader. */
  readonly promise: Promise<unknown>;
  readonly #deps: FlightDeps;
  #began: BeganHere;
  readonly #beganMs: number;
  readonly #leader: Deferred<unknown>;
  #followers: Deferred<KeptValue> | undefined;
  readonly #patient: FlightWaiter[] = [];
  readonly #late: FlightWaiter[] = [];
  /**
   * Computations of other caches that the leader is part of. They depend only on the object-store reads of the flight.
   */
  readonly #leaderReaders: readonly Computation[];
  /** The computations that called as followers. */
  readonly #callers = new Set<Computation>();
  /** Computations of other caches that these calls are part of. */
  readonly #readers: Computation[] = [];
  /** Whether `invalidateKey` is called each time its key is invalidated. */
  isTracked = false;
  #keyWasInvalidated = false;
  #isSuperseded = false;
  /** Whether the turn in which it began lasts. Only noted while this node is out of touch. */
  #isJustBegun = false;
  /** Set once a call has joined. */
  #timer: unknown;
  #isTimedOut = false;
  /** The entry of a tier that had the result, so that nothing was computed. */
  #found: Entry | undefined;
  /** The return value of the function, and the form of it that callers get. */
  #value: unknown;
  #kept: KeptValue | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(call: Call, computation: Computation, began: BeganHere, deps: FlightDeps) {
    this.call = call;
    this.computation = computation;
    this.#deps = deps;
    this.#began = began;
    this.#leader = deferred<unknown>();
    this.promise = this.#leader.promise;
    this.#beganMs = deps.clock.monotonic();
    this.#leaderReaders = this.#awaitedBy(call);
    if (!deps.tiers.isInTouch) {
      this.#isJustBegun = true;
      void Promise.resolve().then(() => (this.#isJustBegun = false));
    }
  }

  /** Milliseconds until the calls that have joined are freed; 0: calls no longer join. */
  get leftMs(): number {
    return Math.max(0, this.#beganMs + this.#deps.flightTimeoutMs - this.#deps.clock.monotonic());
  }

  /** The function is called only now: all calls that have joined came before. */
  begins(began: BeganHere): void {
    this.#began = began;
    this.#keyWasInvalidated = false;
    this.#patient.push(...this.#late.splice(0));
  }

  /** Returns the value of an entry that a tier had. It is the result, and is kept already. */
  finds({ entry, began }: FoundHere): unknown {
    this.#began = began;
    this.computation.use(entry.tags);
    if (entry.reads !== undefined) this.computation.useReads(entry.reads);
    this.#found = entry;
    return entry.value;
  }

  /** Ends as `result` does. */
  follow(result: PromiseLike<unknown>): void {
    result.then(
      (value) => {
        this.#returned(value);
      },
      (error: unknown) => {
        this.#threw(error);
      },
    );
  }

  /** The result for `call`, perhaps that of a new flight. */
  join(call: Call): Promise<unknown> {
    const readers = this.#awaitedBy(call);
    this.#timer ??= this.#deps.clock.setTimeout(() => this.#timeOut(), this.leftMs);
    const isEarly = this.#isAsNew();
    if (isEarly && this.call.signal === undefined) {
      if (call.caller !== undefined) this.#callers.add(call.caller);
      this.#readers.push(...readers);
      return (this.#followers ??= deferred<KeptValue>()).promise.then(this.#deps.tiers.give);
    }
    const waiter = new FlightWaiter(call, readers);
    (isEarly ? this.#patient : this.#late).push(waiter);
    return waiter.promise;
  }

  /** The key itself was set, deleted, or computed again elsewhere. */
  invalidateKey(): void {
    this.#keyWasInvalidated = true;
  }

  /** A newer computation of its key began: the result of this one is not kept. */
  supersede(): void {
    this.#isSuperseded = true;
  }

  #returned(value: unknown): void {
    this.#value = value;
    this.computation.end();
    this.#deps.computed(this.computation, false);
    if (this.#isTimedOut) {
      this.#passToLeader(this.computation.isKeepable);
      this.#leader.resolve(this.#deps.tiers.give(this.#held));
      return;
    }
    this.#ends();
    const isValid = this.#isValid();
    if (isValid) this.#keep();
    const { isKeepable } = this.computation;
    this.#answerEarly(this.#held, isKeepable);
    if (isValid && this.#late.length > 0 && this.#deps.tiers.isInTouch) this.#answer(this.#late, this.#held, isKeepable);
    this.#flyAgain();
  }

  #threw(error: unknown): void {
    this.#failure = { error };
    this.computation.end();
    this.#deps.computed(this.computation, true);
    if (this.#isTimedOut) {
      this.#failLeader();
      return;
    }
    this.#ends();
    const isValid = this.#isValid();
    const { tiers } = this.#deps;
    const last = tiers.last(this.call);
    if (this.#isWaitedFor && this.call.signal?.aborted === true) {
      this.#failLeader();
    } else if (last !== undefined) {
      // The last value replaces the result, and is not kept again.
      this.#answerEarly(last, false);
      if (isValid && tiers.isInTouch) this.#answer(this.#late, last, false);
    } else {
      if (isValid) this.#keepFailure();
      this.#failEarly();
      if (isValid && tiers.isInTouch) this.#fail(this.#late);
    }
    this.#flyAgain();
  }

  #ends(): void {
    if (this.#timer !== undefined) this.#deps.clock.clearTimeout(this.#timer);
    this.#deps.ended(this);
  }

  #keep(): void {
    if (this.#isSuperseded) return;
    this.#kept = this.#found ?? this.#deps.tiers.keep(this.call, this.#value, this.computation, this.#began, true);
  }

  #keepFailure(): void {
    if (this.#isSuperseded) return;
    this.#deps.tiers.keepFailure(this.call, this.#failure?.error, this.computation, this.#began, true);
  }

  /** Resolves the leader, and all calls that joined before anything was invalidated, to `kept`. */
  #answerEarly(kept: KeptValue, isKeepable: boolean): void {
    this.#passToLeader(isKeepable);
    this.#passToFollowers(isKeepable);
    // The leader gets a copy too if others do: the function may keep a reference to its return value, and change it.
    this.#leader.resolve(this.#deps.tiers.give(kept));
    this.#followers?.resolve(kept);
    if (this.#patient.length > 0) this.#answer(this.#patient, kept, isKeepable);
  }

  #failEarly(): void {
    this.#failLeader();
    this.#passToFollowers(this.computation.isKeepable);
    this.#followers?.reject(this.#failure?.error);
    this.#fail(this.#patient);
  }

  #failLeader(): void {
    this.#passToLeader(this.computation.isKeepable);
    this.#leader.reject(this.#failure?.error);
  }

  /** Ends the wait of all calls but the leader. */
  #timeOut(): void {
    const { flightTimeoutMs, ended, timedOut } = this.#deps;
    this.#isTimedOut = true;
    timedOut(this);
    ended(this);
    const error = new TimeoutError({ what: `the computation of ${this.computation.name}`, timeoutMs: flightTimeoutMs });
    // The result of a caller that continues without this one is not kept: a moment later it may be another.
    for (const caller of this.#callers) {
      if (caller !== this.call.caller) this.#free(caller);
    }
    freeReaders(this.#readers);
    this.#callers.clear();
    this.#readers.length = 0;
    this.#followers?.reject(error);
    for (const waiter of this.#takeWaiters()) {
      if (waiter.call.caller !== this.call.caller) this.#free(waiter.call.caller);
      freeReaders(waiter.readers);
      waiter.reject(error);
    }
  }

  #free(caller: Computation | undefined): void {
    caller?.use([], false);
    caller?.waitsFor.delete(this.computation);
  }

  /** Notes that the caller of `call` waits for it. Returns computations of other caches that the call is part of. */
  #awaitedBy({ caller }: Call): readonly Computation[] {
    if (caller?.isOver === false) caller.waitsFor.add(this.computation);
    if (!isAnythingComputing()) return noComputations;
    const readers = currentComputations().filter((computation) => computation !== caller);
    for (const reader of readers) reader.beginRead();
    return readers;
  }

  /** Begins one new flight for the calls that still wait. */
  #flyAgain(): void {
    if (!this.#isWaitedFor) return;
    const waiters = this.#takeWaiters();
    // These calls do not depend on the tags and reads of this flight.
    for (const { call, readers } of waiters) {
      call.caller?.waitsFor.delete(this.computation);
      for (const reader of readers) reader.endRead();
    }
    // All in this turn: nothing is invalidated in between, so the first one begins a flight and the others join it.
    for (const waiter of waiters) waiter.fly(this.#deps.flyAgain);
  }

  /** Whether there are waiting calls that may get a new flight. */
  get #isWaitedFor(): boolean {
    return this.#patient.length + this.#late.length > 0;
  }

  #takeWaiters(): readonly FlightWaiter[] {
    return [...this.#patient.splice(0), ...this.#late.splice(0)];
  }

  /** The return value of the function, in a form that several callers can get. */
  get #held(): KeptValue {
    return (this.#kept ??= this.#deps.tiers.hold(this.#value));
  }

  #answer(waiters: FlightWaiter[], kept: KeptValue, isKeepable: boolean): void {
    for (const waiter of waiters.splice(0)) {
      this.#pass(waiter.call.caller, waiter.readers, isKeepable);
      waiter.resolve(this.#deps.tiers.give(kept));
    }
  }

  #fail(waiters: FlightWaiter[]): void {
    for (const waiter of waiters.splice(0)) {
      this.#pass(waiter.call.caller, waiter.readers, this.computation.isKeepable);
      waiter.reject(this.#failure?.error);
    }
  }

  /** Whether its reads, so far and from now on, are as new as those of a call that begins now. */
  #isAsNew(): boolean {
    const { tiers } = this.#deps;
    if (!tiers.isInTouch && !this.#isJustBegun) return false;
    const isUnchanged = this.#began.changes === tiers.changes && !this.#keyWasInvalidated;
    // A read with a bound on its age becomes stale without any change.
    return isUnchanged && !isAnyStale(this.computation.reads);
  }

  /** Whether nothing that it depends on was invalidated or changed since it began: later calls may have its result. */
  #isValid(): boolean {
    const { tiers } = this.#deps;
    if (this.#found !== undefined) {
      // The tag of the key shows whether the key was invalidated since.
      const { tags, reads = noReads } = this.#found;
      return !tiers.isStale({ tags: tiers.tagsFor(this.call.key, tags), reads }, this.#began);
    }
    if (!this.computation.isKeepable || this.#keyWasInvalidated) return false;
    if (this.#began.changes === tiers.changes) return !isAnyStale(this.computation.reads);
    const { key } = this.call;
    if ((!this.isTracked || tiers.isHashed(key)) && tiers.isKeyStale(key, this.#began)) return false;
    return !tiers.isStale(this.computation, this.#began);
  }

  /** Passes the dependencies of this computation on to `caller` and `readers`. Call it before `caller` continues. */
  #pass(caller: Computation | undefined, readers: Iterable<Computation>, isKeepable: boolean): void {
    const { tags, reads } = this.computation;
    for (const reader of readers) {
      reader.useReads(isKeepable ? reads : [staleRead]);
      reader.endRead();
    }
    if (caller === undefined) return;
    caller.use(this.#deps.tiers.tagsFor(this.call.key, tags), isKeepable);
    caller.useReads(reads);
    caller.waitsFor.delete(this.computation);
  }

  #passToLeader(isKeepable: boolean): void {
    this.#pass(this.call.caller, this.#leaderReaders, isKeepable);
  }

  #passToFollowers(isKeepable: boolean): void {
    for (const caller of this.#callers) this.#pass(caller, noComputations, isKeepable);
    this.#pass(undefined, this.#readers, isKeepable);
    this.#callers.clear();
    this.#readers.length = 0;
  }
}

/** Ends the wait of `readers`, whose results are not kept: a moment later they may be others. */
function freeReaders(readers: readonly Computation[]): void {
  for (const reader of readers) {
    reader.useReads([staleRead]);
    reader.endRead();
  }
}

const noComputations: readonly Computation[] = [];
