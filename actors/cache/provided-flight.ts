import { flightMachine } from "../../machines/cache/flight.js";
import type { Log } from "../../core/index.js";
import type { Flight } from "./flight.js";

/** The machine of flights, whose effects are those of each flight. `onTimedOut`: who had joined one is freed. */
export function providedFlight(log: Log, onTimedOut: () => void): typeof flightMachine {
  return flightMachine.provide({
    actions: {
      keep: ({ context }) => context.flight.keep(),
      answerAll: ({ context }) => context.flight.answerAll(),
      answerEarly: ({ context }) => context.flight.answerEarly(),
      flyAgain: ({ context }) => context.flight.flyAgain(),
      answerAllWithLast: ({ context }) => context.flight.answerAllWithLast(),
      answerEarlyWithLast: ({ context }) => context.flight.answerEarlyWithLast(),
      keepFailure: ({ context }) => context.flight.keepFailure(),
      failAll: ({ context }) => context.flight.failAll(),
      failEarly: ({ context }) => context.flight.failEarly(),
      failLeader: ({ context }) => context.flight.failLeader(),
      freeFollowers: ({ context }) => context.flight.freeFollowers(),
      logTimedOut: ({ context }) => {
        onTimedOut();
        log.warn({ flight: (context.flight as Flight).computation.name }, "a computation takes too long");
      },
      logUnexpected: ({ event }) => log.warn({ event: event.type }, "an unexpected event of a flight"),
    },
    delays: { flightTimeout: ({ context }) => context.flight.leftMs },
  });
}
