import { type Actor, createActor } from "xstate";
import type { FlightEffects, flightMachine } from "../../machines/cache/flight.js";
import type { Entry } from "../../storage/results/entry-store.js";
import type { KeptValue } from "../../storage/results/kept-value.js";
import { isAnyStale, staleRead } from "../../core/object-read.js";
import { assert, type Clock, TimeoutError } from "../../core/index.js";
import type { Call } from "./cached-work.js";
import { type Computation, noReads } from "../tracking/computation.js";
import { currentComputations, isAnythingComputing } from "../tracking/computations.js";
import { type Deferred, deferred } from "../../core/deferred.js";
import { FlightWaiter } from "./flight-waiter.js";
import type { BeganHere, FoundHere, Tiers } from "./tiers.js";

/** What flights need of their surroundings. */
export interface FlightDeps {
  readonly tiers: Tiers;
  readonly machine: typeof flightMachine;
  readonly clock: Clock;
  readonly flightTimeoutMs: number;
  /** The function of a flight has returned, or failed. */
  readonly computed: (computation: Computation, hasFailed: boolean) => void;
  /** The flight ended: who calls from now on begins another. */
  readonly ended: (flight: Flight) => void;
  /** Begins a new flight for `call`, and gives its result. */
  readonly flyAgain: (call: Call) => Promise<unknown>;
}

/**
 * One computation under way, and all who wait for it. What happens at its end is the machine's to decide, once somebody has joined:
 * most flights are one caller's alone, and a machine would cost them more than the rest does.
 *
 *     leader      whose call began it; waits however long it takes
 *     followers   joined while nothing had been invalidated or changed since it began: get whatever it gives
 *     patient     followers of a leader that can give up: get what followers get, but one new flight if its abort made the function fail
 *     late        joined after that: get what it gives, a failure too, only if that is valid at landing; else one new flight
 */
export class Flight implements FlightEffects {
  readonly computation: Computation;
  readonly call: Call;
  /** Its end, as its own caller sees it. */
  readonly promise: Promise<unknown>;
  readonly #deps: FlightDeps;
  #began: BeganHere;
  readonly #beganMs: number;
  #actor: Actor<typeof flightMachine> | undefined;
  readonly #leader: Deferred<unknown>;
  #followers: Deferred<KeptValue> | undefined;
  readonly #patient: FlightWaiter[] = [];
  readonly #late: FlightWaiter[] = [];
  /** Computations of other caches that its own caller is part of: to them only what was read of object stores matters. */
  readonly #leaderReaders: readonly Computation[];
  /** The computations that called as followers, and those of other caches that these calls are part of. */
  readonly #callers = new Set<Computation>();
  readonly #readers: Computation[] = [];
  /** It is told when its key is invalidated. */
  isTracked = false;
  #keyWasInvalidated = false;
  #isSuperseded = false;
  /** It was looked up, and need not be computed. */
  #found: Entry | undefined;
  #isToFlyAgain = false;
  /** What it gave, and how it is given to all callers. */
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
  }

  get leftMs(): number {
    return Math.max(0, this.#beganMs + this.#deps.flightTimeoutMs - this.#deps.clock.monotonic());
  }

  /** The function is called only now: all who have joined came before. */
  begins(began: BeganHere): void {
    this.#began = began;
    this.#keyWasInvalidated = false;
    this.#patient.push(...this.#late.splice(0));
  }

  /** Lands with what a tier had, which is kept already. */
  finds({ entry, began }: FoundHere): unknown {
    this.#began = began;
    this.computation.use(entry.tags);
    if (entry.reads !== undefined) this.computation.useReads(entry.reads);
    this.#found = entry;
    return entry.value;
  }

  /** Lands with what `result` gives. */
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

  /** The result for `call`, as far as it may have it. */
  join(call: Call): Promise<unknown> {
    const readers = this.#awaitedBy(call);
    this.#actor ??= this.#startMachine();
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

  /** The key itself was set, deleted or computed anew elsewhere. */
  invalidateKey(): void {
    this.#keyWasInvalidated = true;
  }

  /** A newer computation of its key was begun: what this one gives is not kept. */
  supersede(): void {
    this.#isSuperseded = true;
  }

  keep(): void {
    const { tiers } = this.#deps;
    if (this.#isSuperseded) return;
    if (this.#found !== undefined) {
      this.#kept = this.#found;
      return;
    }
    this.#kept = tiers.keep(this.call, this.#value, this.computation, this.#began, true);
  }

  answerAll(): void {
    this.answerEarly();
    if (this.#late.length > 0) this.#answer(this.#late, this.#held, this.computation.isKeepable);
  }

  answerEarly(): void {
    const { isKeepable } = this.computation;
    this.#tellLeader(isKeepable);
    this.#tellFollowers(isKeepable);
    this.#answerLeader();
    this.#followers?.resolve(this.#held);
    if (this.#patient.length > 0) this.#answer(this.#patient, this.#held, isKeepable);
  }

  answerAllWithLast(): void {
    const last = this.answerEarlyWithLast();
    this.#answer(this.#late, last, false);
  }

  answerEarlyWithLast(): KeptValue {
    const { tiers } = this.#deps;
    const last = tiers.last(this.call);
    assert(last !== undefined, "a flight that ends with the last value has one");
    this.#tellLeader(false);
    this.#tellFollowers(false);
    this.#leader.resolve(tiers.give(last));
    this.#followers?.resolve(last);
    this.#answer(this.#patient, last, false);
    return last;
  }

  keepFailure(): void {
    if (!this.#isSuperseded) this.#deps.tiers.keepFailure(this.call, this.#failure?.error, this.computation, this.#began, true);
  }

  failAll(): void {
    this.failEarly();
    this.#fail(this.#late);
  }

  failEarly(): void {
    this.failLeader();
    this.#tellFollowers(this.computation.isKeepable);
    this.#followers?.reject(this.#failure?.error);
    this.#fail(this.#patient);
  }

  failLeader(): void {
    this.#tellLeader(this.computation.isKeepable);
    this.#leader.reject(this.#failure?.error);
  }

  flyAgain(): void {
    this.#isToFlyAgain = true;
  }

  freeFollowers(): void {
    const { flightTimeoutMs, ended } = this.#deps;
    ended(this);
    const error = new TimeoutError({ what: `the computation of ${this.computation.name}`, timeoutMs: flightTimeoutMs });
    // What a caller computes without this result is not kept: a moment later there may be one.
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

  /** The caller of `call` waits for it from now on. The computations of other caches that the call is part of. */
  #awaitedBy({ caller }: Call): readonly Computation[] {
    if (caller?.isOver === false) caller.waitsFor.add(this.computation);
    if (!isAnythingComputing()) return noComputations;
    const readers = currentComputations().filter((computation) => computation !== caller);
    for (const reader of readers) reader.beginRead();
    return readers;
  }

  #returned(value: unknown): void {
    this.#value = value;
    this.computation.end();
    this.#deps.computed(this.computation, false);
    if (this.#isTimedOut) {
      this.#tellLeader(this.computation.isKeepable);
      this.#answerLeader();
      return;
    }
    this.#deps.ended(this);
    const isValid = this.#isValid();
    if (this.#actor === undefined) {
      if (isValid) this.keep();
      this.answerEarly();
      return;
    }
    this.#actor.send({ type: "RETURNED", isValid });
    this.#flyIfAgain();
  }

  #threw(error: unknown): void {
    this.#failure = { error };
    this.computation.end();
    this.#deps.computed(this.computation, true);
    if (this.#isTimedOut) {
      this.failLeader();
      return;
    }
    const { call } = this;
    this.#deps.ended(this);
    const isValid = this.#isValid();
    const hasLast = this.#deps.tiers.last(call) !== undefined;
    if (this.#actor === undefined) {
      if (hasLast) this.answerEarlyWithLast();
      else {
        if (isValid) this.keepFailure();
        this.failEarly();
      }
      return;
    }
    const othersWait = this.#patient.length + this.#late.length > 0;
    this.#actor.send({ type: "THREW", isAbandoned: call.signal?.aborted === true && othersWait, isValid, hasLast });
    this.#flyIfAgain();
  }

  /** Begins the new flight once the machine of this one is at its end: one does not start another within its own step. */
  #flyIfAgain(): void {
    if (!this.#isToFlyAgain) return;
    this.#isToFlyAgain = false;
    const waiters = this.#takeWaiters();
    // What this flight used is nothing to the calls that get the result of another one.
    for (const { call, readers } of waiters) {
      call.caller?.waitsFor.delete(this.computation);
      for (const reader of readers) reader.endRead();
    }
    // All of them in this turn: nothing can be invalidated between, so that they join the first, however much is invalidated later.
    for (const waiter of waiters) waiter.fly(this.#deps.flyAgain);
  }

  #takeWaiters(): readonly FlightWaiter[] {
    return [...this.#patient.splice(0), ...this.#late.splice(0)];
  }

  /** What it gave, held so that several callers can be given it. */
  get #held(): KeptValue {
    return (this.#kept ??= this.#deps.tiers.hold(this.#value));
  }

  /** Its own caller gets what all others get, whether it is kept or not: the function may hold on to what it returned, and change it. */
  #answerLeader(): void {
    this.#leader.resolve(this.#deps.tiers.give(this.#held));
  }

  #answer(waiters: FlightWaiter[], kept: KeptValue, isKeepable: boolean): void {
    for (const waiter of waiters.splice(0)) {
      this.#tell(waiter.call.caller, waiter.readers, isKeepable);
      waiter.resolve(this.#deps.tiers.give(kept));
    }
  }

  #fail(waiters: FlightWaiter[]): void {
    for (const waiter of waiters.splice(0)) {
      this.#tell(waiter.call.caller, waiter.readers, this.computation.isKeepable);
      waiter.reject(this.#failure?.error);
    }
  }

  get #isTimedOut(): boolean {
    return this.#actor?.getSnapshot().value === "timedOut";
  }

  #startMachine(): Actor<typeof flightMachine> {
    const { machine, clock } = this.#deps;
    return createActor(machine, { id: "flight", clock, input: { flight: this } }).start();
  }

  /** What it has read so far is as new as what a call that begins now would read, and so is what it will read. */
  #isAsNew(): boolean {
    const isUnchanged = this.#began.changes === this.#deps.tiers.changes && !this.#keyWasInvalidated;
    // A snapshot that was to be no older than so long grows older without any change.
    return isUnchanged && !isAnyStale(this.computation.reads);
  }

  /** Nothing that it depends on was invalidated or changed since it began: a call that began later may have it too. */
  #isValid(): boolean {
    const { tiers } = this.#deps;
    if (this.#found !== undefined) {
      // Whether its key was invalidated since it was found is told by its tag.
      const { tags, reads = noReads } = this.#found;
      return !tiers.isStale({ tags: tiers.tagsFor(this.call.key, tags), reads }, this.#began);
    }
    if (!this.computation.isKeepable || this.#keyWasInvalidated) return false;
    if (this.#began.changes === tiers.changes) return !isAnyStale(this.computation.reads);
    const { key } = this.call;
    if ((!this.isTracked || tiers.isHashed(key)) && tiers.isKeyStale(key, this.#began)) return false;
    return !tiers.isStale(this.computation, this.#began);
  }

  /** The result of `caller` depends on what this one does. To be called before `caller` goes on. */
  #tell(caller: Computation | undefined, readers: Iterable<Computation>, isKeepable: boolean): void {
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

  #tellLeader(isKeepable: boolean): void {
    this.#tell(this.call.caller, this.#leaderReaders, isKeepable);
  }

  #tellFollowers(isKeepable: boolean): void {
    for (const caller of this.#callers) this.#tell(caller, noComputations, isKeepable);
    this.#tell(undefined, this.#readers, isKeepable);
    this.#callers.clear();
    this.#readers.length = 0;
  }
}

/** They wait no longer: what they give is of the moment. */
function freeReaders(readers: readonly Computation[]): void {
  for (const reader of readers) {
    reader.useReads([staleRead]);
    reader.endRead();
  }
}

const noComputations: readonly Computation[] = [];
