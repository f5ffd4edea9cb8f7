import { type Actor, createActor } from "xstate";
import type { FlightEffects, flightMachine } from "../machines/flight.js";
import type { Entry } from "../storage/entry-store.js";
import type { KeptValue } from "../storage/kept-value.js";
import { staleRead } from "../storage/object-reads.js";
import { assert, type Clock, TimeoutError } from "../words/index.js";
import type { Call } from "./cached-work.js";
import { type Computation, noReads } from "./computation.js";
import { currentComputations, isAnythingComputing } from "./computations.js";
import type { BeganHere, FoundHere, Shelf } from "./shelf.js";

/** Who waits for a result that may not be theirs: they came after something was invalidated, or after a caller who may give up. */
interface Waiter {
  readonly call: Call;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** What flights need of their surroundings. */
export interface FlightAround {
  readonly shelf: Shelf;
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
 *     followers   who joined while nothing had been invalidated: get whatever it gives
 *     late        who joined after that: get it only if it is valid at landing, else one new flight
 */
export class Flight implements FlightEffects {
  readonly computation: Computation;
  readonly call: Call;
  /** Its end, as its own caller sees it. */
  readonly promise: Promise<unknown>;
  readonly #around: FlightAround;
  #began: BeganHere;
  readonly #beganMs: number;
  #actor: Actor<typeof flightMachine> | undefined;
  readonly #leader: Deferred<unknown>;
  #followers: Deferred<KeptValue> | undefined;
  /** Followers of a leader that can give up, and leave them to fly by themselves. */
  readonly #patient: Waiter[] = [];
  readonly #late: Waiter[] = [];
  /** Computations that wait for it. */
  readonly #callers = new Set<Computation>();
  /** Those of other caches, to which only what was read of object stores matters, and whether that is known at all. */
  readonly #readers = new Set<Computation>();
  /** It is told when its key is invalidated. */
  isTracked = false;
  #keyWasInvalidated = false;
  #isSuperseded = false;
  /** It was looked up, and need not be computed. */
  #found: Entry | undefined;
  #isToFlyAgain = false;
  /** What it gave, as its own caller gets it, and as it is given to others. */
  #value: unknown;
  #kept: KeptValue | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(call: Call, computation: Computation, began: BeganHere, around: FlightAround) {
    this.call = call;
    this.computation = computation;
    this.#around = around;
    this.#began = began;
    this.#leader = deferred<unknown>();
    this.promise = this.#leader.promise;
    this.#beganMs = around.clock.monotonic();
    this.#awaitedBy(call);
  }

  get leftMs(): number {
    return Math.max(0, this.#beganMs + this.#around.flightTimeoutMs - this.#around.clock.monotonic());
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
    return this.#around.shelf.give(entry);
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
    this.#awaitedBy(call);
    this.#actor ??= this.#startMachine();
    const isEarly = this.#began.invalidations === this.#around.shelf.invalidations && !this.#keyWasInvalidated;
    // Who joins a caller that can give up may need a flight of its own.
    if (isEarly && this.call.signal === undefined) return (this.#followers ??= deferred<KeptValue>()).promise.then(this.#around.shelf.give);
    return new Promise((resolve, reject) => {
      (isEarly ? this.#patient : this.#late).push({ call, resolve, reject });
    });
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
    const { shelf } = this.#around;
    if (this.#isSuperseded) return;
    if (this.#found !== undefined) {
      this.#kept = this.#found;
      return;
    }
    this.#kept = shelf.keep(this.call, this.#value, this.computation, this.#began, true);
    if (this.#kept.isShared) this.#value = this.#kept.value;
  }

  answerAll(): void {
    this.answerEarly();
    this.#answer(this.#late, this.#held);
  }

  answerEarly(): void {
    this.#tellCallers(this.computation.isKeepable);
    this.#leader.resolve(this.#value);
    this.#followers?.resolve(this.#held);
    this.#answer(this.#patient, this.#held);
  }

  flyAgain(): void {
    this.#isToFlyAgain = true;
  }

  answerWithLast(): void {
    const last = this.#around.shelf.last(this.call);
    assert(last !== undefined, "a flight that ends with the last value has one");
    this.#tellCallers(false);
    this.#leader.resolve(this.#around.shelf.give(last));
    this.#followers?.resolve(last);
    this.#answer(this.#patient, last);
    this.#answer(this.#late, last);
  }

  tellFailure(): void {
    const { shelf } = this.#around;
    const error = this.#failure?.error;
    if (!this.#isSuperseded && this.#isValid()) shelf.keepFailure(this.call, error, this.computation, this.#began, true);
    this.#tellCallers(this.computation.isKeepable);
    this.#leader.reject(error);
    this.#followers?.reject(error);
    for (const { reject } of [...this.#patient, ...this.#late]) reject(error);
  }

  freeFollowers(): void {
    const { flightTimeoutMs, ended } = this.#around;
    ended(this);
    const error = new TimeoutError({ what: `the computation of ${this.computation.name}`, timeoutMs: flightTimeoutMs });
    this.#followers?.reject(error);
    this.#freeCallers();
    for (const { reject } of [...this.#patient.splice(0), ...this.#late.splice(0)]) reject(error);
  }

  /** What followers make of it that they were freed is of the moment: it is not kept. */
  #freeCallers(): void {
    for (const caller of this.#callers) {
      if (caller === this.call.caller) continue;
      caller.use([], false);
      caller.waitsFor.delete(this.computation);
      this.#callers.delete(caller);
    }
  }

  #awaitedBy({ caller }: Call): void {
    if (isAnythingComputing()) for (const computation of currentComputations()) if (computation !== caller) this.#readers.add(computation);
    if (caller === undefined || caller.isOver) return;
    this.#callers.add(caller);
    caller.waitsFor.add(this.computation);
  }

  #returned(value: unknown): void {
    this.#value = value;
    this.computation.end();
    this.#around.computed(this.computation, false);
    if (this.#isTimedOut) {
      this.#tellCallers(this.computation.isKeepable);
      this.#leader.resolve(value);
      return;
    }
    this.#around.ended(this);
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
    this.#around.computed(this.computation, true);
    if (this.#isTimedOut) {
      this.#tellCallers(this.computation.isKeepable);
      this.#leader.reject(error);
      return;
    }
    const { call } = this;
    this.#around.ended(this);
    const hasLast = this.#around.shelf.last(call) !== undefined;
    if (this.#actor === undefined) {
      if (hasLast) this.answerWithLast();
      else this.tellFailure();
      return;
    }
    const othersWait = this.#patient.length + this.#late.length > 0;
    this.#actor.send({ type: "THREW", isAbandoned: call.signal?.aborted === true && othersWait, hasLast });
    this.#flyIfAgain();
  }

  /** Begins the new flight once the machine of this one is at its end: one does not start another within its own step. */
  #flyIfAgain(): void {
    if (!this.#isToFlyAgain) return;
    this.#isToFlyAgain = false;
    const waiters = [...this.#patient.splice(0), ...this.#late.splice(0)];
    if (this.#failure !== undefined) {
      this.#tellCallers(this.computation.isKeepable);
      this.#leader.reject(this.#failure.error);
    }
    const { flyAgain } = this.#around;
    // All of them in this turn: nothing can be invalidated between, so that they join the first, however much is invalidated later.
    for (const { call, resolve, reject } of waiters) {
      if (call.signal?.aborted === true) reject(call.signal.reason);
      else flyAgain(call).then(resolve, reject);
    }
  }

  /** What it gave, held so that several callers can be given it. */
  get #held(): KeptValue {
    return (this.#kept ??= this.#around.shelf.hold(this.#value));
  }

  #answer(waiters: Waiter[], kept: KeptValue): void {
    for (const { resolve } of waiters.splice(0)) resolve(this.#around.shelf.give(kept));
  }

  get #isTimedOut(): boolean {
    return this.#actor?.getSnapshot().value === "timedOut";
  }

  #startMachine(): Actor<typeof flightMachine> {
    const { machine, clock } = this.#around;
    return createActor(machine, { id: "flight", clock, input: { flight: this } }).start();
  }

  /** It may be given to who called after whatever was invalidated meanwhile. */
  #isValid(): boolean {
    const { shelf } = this.#around;
    if (this.#found !== undefined) {
      // Whether its key was invalidated since it was found is told by its tag.
      const { tags, reads = noReads } = this.#found;
      return !shelf.isStale({ tags: shelf.tagsFor(this.call.key, tags), reads }, this.#began);
    }
    if (!this.computation.isKeepable || this.#keyWasInvalidated) return false;
    if (this.#began.invalidations === shelf.invalidations) return true;
    const { key } = this.call;
    if ((!this.isTracked || shelf.isHashed(key)) && shelf.isKeyStale(key, this.#began)) return false;
    return !shelf.isStale(this.computation, this.#began);
  }

  /** What this result depends on, theirs does; before they go on. */
  #tellCallers(isKeepable: boolean): void {
    const { tags: own, reads } = this.computation;
    const tags = this.#around.shelf.tagsFor(this.call.key, own);
    for (const reader of this.#readers) reader.useReads(isKeepable ? reads : [staleRead]);
    this.#readers.clear();
    for (const caller of this.#callers) {
      caller.use(tags, isKeepable);
      caller.useReads(reads);
      caller.waitsFor.delete(this.computation);
    }
    this.#callers.clear();
  }
}

interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

function deferred<T>(): Deferred<T> {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((settle, fail) => {
    resolve = settle;
    reject = fail;
  });
  return { promise, resolve, reject };
}
