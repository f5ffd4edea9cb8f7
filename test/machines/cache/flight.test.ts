import { createActor } from "xstate";
import { describe, expect, test } from "vitest";
import { type FlightEffects, type FlightEvent, flightMachine } from "../../../machines/cache/flight.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import { stateOf } from "../every-event.js";

const effects = [
  "keep",
  "answerAll",
  "answerEarly",
  "flyAgain",
  "answerAllWithLast",
  "answerEarlyWithLast",
  "keepFailure",
  "failAll",
  "failEarly",
  "failLeader",
  "freeFollowers",
] as const;

function computing() {
  const done: string[] = [];
  const clock = new SimulatedClock();
  const flight = Object.fromEntries(effects.map((name) => [name, () => void done.push(name)])) as unknown as FlightEffects;
  const actions = Object.fromEntries([...effects, "logTimedOut", "logUnexpected"].map((name) => [name, () => void done.push(name)]));
  const actor = createActor(flightMachine.provide({ actions, delays: { flightTimeout: 60_000 } }), {
    id: "flight",
    clock,
    input: { flight },
  });
  actor.start();
  return { actor, done, clock };
}

describe("the machine of a flight", () => {
  test("answers every event in every state", () => {
    const events: Record<string, FlightEvent> = {
      "RETURNED, valid": { type: "RETURNED", isValid: true },
      "RETURNED, stale": { type: "RETURNED", isValid: false },
      "THREW, abandoned": { type: "THREW", isAbandoned: true, isValid: true, hasLast: true },
      "THREW, valid, with a last value": { type: "THREW", isAbandoned: false, isValid: true, hasLast: true },
      "THREW, valid": { type: "THREW", isAbandoned: false, isValid: true, hasLast: false },
      "THREW, stale, with a last value": { type: "THREW", isAbandoned: false, isValid: false, hasLast: true },
      "THREW, stale": { type: "THREW", isAbandoned: false, isValid: false, hasLast: false },
    };
    const answers = Object.entries(events).map(([name, event]) => {
      const { actor, done } = computing();
      actor.send(event);
      return [name, [stateOf(actor), ...done].join(" ")];
    });
    expect(Object.fromEntries(answers)).toEqual({
      "RETURNED, valid": "landed keep answerAll",
      "RETURNED, stale": "landed answerEarly flyAgain",
      "THREW, abandoned": "failed failLeader flyAgain",
      "THREW, valid, with a last value": "failed answerAllWithLast",
      "THREW, valid": "failed keepFailure failAll",
      "THREW, stale, with a last value": "failed answerEarlyWithLast flyAgain",
      "THREW, stale": "failed failEarly flyAgain",
    });
  });

  test("frees followers at its time-out, once", async () => {
    const { actor, done, clock } = computing();
    await clock.advance(59_999);
    expect(done).toEqual([]);
    await clock.advance(1);
    expect([stateOf(actor), ...done]).toEqual(["timedOut", "logTimedOut", "freeFollowers"]);
    actor.send({ type: "RETURNED", isValid: true });
    expect(done).toHaveLength(2);
  });
});
