/**
 * A flight: one computation of a cached result that several callers await. One for each computation that a second caller
 * has joined. While its own caller alone waits, there is nothing to decide.
 *
 *        computing ── RETURNED, valid ──▶ landed        kept, and given to all who wait
 *            │ ────── RETURNED, stale ──▶ landed        given to those who overlap what made it stale; one new flight for the others
 *            │ ────── THREW, valid ─────▶ failed        all who wait get the error, or the last value if that may stand in
 *            │ ────── THREW, stale ─────▶ failed        so do those who overlap what made it stale; one new flight for the others
 *            │ ────── THREW, abandoned ─▶ failed        by the abort of its own caller, which gets the error; one new flight for the others
 *            └ flightTimeout ───────────▶ timedOut      followers are freed; its own caller goes on waiting, its result is not kept
 *
 * 1. A call that begins after an invalidation was applied gets no result and no failure of a flight that began before it, unless that is
 *    valid at landing: nothing that the function used was invalidated since the flight began.
 * 2. Those who came too late for a result share one new flight, whose result they get whatever is invalidated meanwhile. Its function runs
 *    in the context of one of them.
 * 3. One caller's abort ends nobody else's wait: when it made the computation fail, the others share a new one.
 *
 * Source: DESIGN "Flights", promise 11; INTERLEAVINGS B1; Convex's `application/cache`.
 */
import { setup } from "xstate";

/** What the machine of a flight is told. */
export type FlightEvent =
  | { readonly type: "RETURNED"; readonly isValid: boolean }
  /** `isAbandoned`: by the abort of the caller whose computation it was. `hasLast`: a last value may stand in. */
  | { readonly type: "THREW"; readonly isAbandoned: boolean; readonly isValid: boolean; readonly hasLast: boolean };

/** What a flight does at its end. One machine serves all flights, so that each brings its own. */
export interface FlightEffects {
  keep(): void;
  answerAll(): void;
  answerEarly(): void;
  flyAgain(): void;
  answerAllWithLast(): void;
  answerEarlyWithLast(): void;
  keepFailure(): void;
  failAll(): void;
  failEarly(): void;
  failLeader(): void;
  freeFollowers(): void;
  /** What is left of its time when the first joins it. */
  readonly leftMs: number;
}

/** What the machine of a flight remembers. */
export interface FlightContext {
  readonly flight: FlightEffects;
}

/** The machine of one computation of a cached result; effects and delays are provided where it runs. */
export const flightMachine = setup({
  types: {
    context: {} as FlightContext,
    events: {} as FlightEvent,
    input: {} as FlightContext,
  },
  actions: {
    keep: () => undefined,
    answerAll: () => undefined,
    /** Gives the result to those who called before anything was invalidated. */
    answerEarly: () => undefined,
    /** Begins one new flight for those who still wait. */
    flyAgain: () => undefined,
    answerAllWithLast: () => undefined,
    answerEarlyWithLast: () => undefined,
    keepFailure: () => undefined,
    failAll: () => undefined,
    /** Gives the error to those who called before anything was invalidated. */
    failEarly: () => undefined,
    failLeader: () => undefined,
    freeFollowers: () => undefined,
    logTimedOut: () => undefined,
    logUnexpected: () => undefined,
  },
  guards: {
    isValid: (_, params: { readonly isValid: boolean }) => params.isValid,
    isAbandoned: (_, params: { readonly isAbandoned: boolean }) => params.isAbandoned,
    isValidWithLast: (_, { isValid, hasLast }: { readonly isValid: boolean; readonly hasLast: boolean }) => isValid && hasLast,
    hasLast: (_, params: { readonly hasLast: boolean }) => params.hasLast,
  },
  delays: {
    flightTimeout: 0,
  },
}).createMachine({
  id: "flight",
  context: ({ input }) => input,
  initial: "computing",
  on: {
    "*": { actions: "logUnexpected" },
  },
  states: {
    computing: {
      after: { flightTimeout: { target: "timedOut", actions: ["logTimedOut", "freeFollowers"] } },
      on: {
        RETURNED: [
          {
            guard: { type: "isValid", params: ({ event }) => ({ isValid: event.isValid }) },
            target: "landed",
            actions: ["keep", "answerAll"],
          },
          { target: "landed", actions: ["answerEarly", "flyAgain"] },
        ],
        THREW: [
          {
            guard: { type: "isAbandoned", params: ({ event }) => ({ isAbandoned: event.isAbandoned }) },
            target: "failed",
            actions: ["failLeader", "flyAgain"],
          },
          {
            guard: { type: "isValidWithLast", params: ({ event }) => ({ isValid: event.isValid, hasLast: event.hasLast }) },
            target: "failed",
            actions: "answerAllWithLast",
          },
          {
            guard: { type: "isValid", params: ({ event }) => ({ isValid: event.isValid }) },
            target: "failed",
            actions: ["keepFailure", "failAll"],
          },
          {
            guard: { type: "hasLast", params: ({ event }) => ({ hasLast: event.hasLast }) },
            target: "failed",
            actions: ["answerEarlyWithLast", "flyAgain"],
          },
          { target: "failed", actions: ["failEarly", "flyAgain"] },
        ],
      },
    },
    landed: { type: "final" },
    failed: { type: "final" },
    timedOut: { type: "final" },
  },
});
