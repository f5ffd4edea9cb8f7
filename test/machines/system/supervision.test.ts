import { createActor } from "xstate";
import { describe, expect, test } from "vitest";
import { supervisionMachine, type SupervisionEvent } from "../../../machines/system/supervision.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import { answers, stateOf } from "../every-event.js";

function started(failuresMax = 2) {
  const done: string[] = [];
  const clock = new SimulatedClock();
  const machine = supervisionMachine.provide({
    actions: { restart: () => void done.push("restart"), logUnexpected: () => void done.push("logUnexpected") },
    delays: { backOff: ({ context }) => 100 * context.failedAtMs.length },
  });
  const actor = createActor(machine, { clock, input: { failuresMax, withinMs: 1_000 } }).start();
  const fail = (canRestart = true) => actor.send({ type: "FAILED", atMs: clock.monotonic(), canRestart });
  return { actor, done, clock, fail };
}

describe("the machine of supervision", () => {
  test("answers every event while the actor runs and while it waits for its restart", () => {
    const inState = (state: string) => {
      const run = started();
      if (state === "backingOff") run.fail();
      return run;
    };
    const events: (SupervisionEvent | { type: "NOT_KNOWN" })[] = [
      { type: "FAILED", atMs: 1, canRestart: true },
      { type: "ENDED" },
      { type: "STOP" },
      { type: "NOT_KNOWN" },
    ];
    expect(answers(inState, ["running", "backingOff"], events)).toEqual({
      running: { FAILED: "backingOff", ENDED: "ended", STOP: "stopped", NOT_KNOWN: "running logUnexpected" },
      backingOff: {
        FAILED: "backingOff logUnexpected",
        ENDED: "backingOff logUnexpected",
        STOP: "stopped",
        NOT_KNOWN: "backingOff logUnexpected",
      },
    });
  });

  test("restarts after a pause that grows with the failures in the window, and escalates after one too many", async () => {
    const { actor, done, clock, fail } = started();
    fail();
    await clock.advance(99);
    expect([stateOf(actor), done]).toEqual(["backingOff", []]);
    await clock.advance(1);
    expect([stateOf(actor), done]).toEqual(["running", ["restart"]]);
    fail();
    await clock.advance(199);
    expect(stateOf(actor)).toBe("backingOff");
    await clock.advance(1);
    expect([stateOf(actor), done]).toEqual(["running", ["restart", "restart"]]);
    fail();
    expect([stateOf(actor), actor.getSnapshot().status]).toEqual(["escalated", "done"]);
  });

  test("forgets failures that are older than the window", async () => {
    const { actor, clock, fail } = started(1);
    for (let round = 0; round < 3; round++) {
      fail();
      expect(stateOf(actor)).toBe("backingOff");
      await clock.advance(1_000);
    }
    expect(stateOf(actor)).toBe("running");
  });

  test("escalates at once when there is no state to begin with, or no failure is allowed", () => {
    const { actor, fail } = started();
    fail(false);
    expect(stateOf(actor)).toBe("escalated");
    const strict = started(0);
    strict.fail();
    expect(stateOf(strict.actor)).toBe("escalated");
  });
});
