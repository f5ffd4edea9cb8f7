import { createActor, fromPromise } from "xstate";
import { describe, expect, test } from "vitest";
import { pruningMachine, type PruningEvent, type Stepped } from "../../../machines/server/pruning.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import { answers, stateOf } from "../every-event.js";

interface Settle<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

function started() {
  const done: string[] = [];
  const clock = new SimulatedClock();
  const raises: Settle<void>[] = [];
  const steps: Settle<Stepped>[] = [];
  const machine = pruningMachine.provide({
    actors: {
      raiseFloor: fromPromise(() => new Promise<void>((resolve, reject) => raises.push({ resolve, reject }))),
      step: fromPromise(() => new Promise<Stepped>((resolve, reject) => steps.push({ resolve, reject }))),
    },
    actions: {
      logSwept: () => void done.push("logSwept"),
      logFailed: () => void done.push("logFailed"),
      logUnexpected: () => void done.push("logUnexpected"),
    },
    delays: { pruningInterval: 1_000, backOff: ({ context }) => 100 * context.sweepsFailed },
  });
  const actor = createActor(machine, { id: "pruning", clock });
  actor.start();
  return { actor, done, clock, raises, steps };
}

describe("the machine of pruning", () => {
  test("answers every event while it is idle and while it works", () => {
    const inState = (state: string) => {
      const run = started();
      if (state === "raisingFloor") run.actor.send({ type: "PRUNE" });
      return run;
    };
    const events: (PruningEvent | { type: "NOT_KNOWN" })[] = [{ type: "PRUNE" }, { type: "NOT_KNOWN" }];
    expect(answers(inState, ["idle", "raisingFloor"], events)).toEqual({
      idle: { PRUNE: "raisingFloor", NOT_KNOWN: "idle logUnexpected" },
      raisingFloor: { PRUNE: "raisingFloor", NOT_KNOWN: "raisingFloor logUnexpected" },
    });
  });

  test("raises the floor first, then steps until nothing is left, and begins again after its interval", async () => {
    const { actor, done, clock, raises, steps } = started();
    await clock.advance(1_000);
    expect([stateOf(actor), raises.length, steps.length]).toEqual(["raisingFloor", 1, 0]);
    raises[0]?.resolve();
    await clock.advance(0);
    expect([stateOf(actor), steps.length]).toEqual(["stepping", 1]);
    steps[0]?.resolve({ done: false });
    await clock.advance(0);
    expect([stateOf(actor), steps.length]).toEqual(["stepping", 2]);
    actor.send({ type: "PRUNE" });
    steps[1]?.resolve({ done: true });
    await clock.advance(0);
    expect([stateOf(actor), done]).toEqual(["idle", ["logSwept"]]);
    await clock.advance(1_000);
    expect(raises.length).toBe(2);
  });

  test("backs off after a failure of either part; PRUNE ends the back-off", async () => {
    const { actor, done, clock, raises, steps } = started();
    actor.send({ type: "PRUNE" });
    raises[0]?.reject(new Error("no"));
    await clock.advance(0);
    expect([stateOf(actor), done]).toEqual(["backingOff", ["logFailed"]]);
    await clock.advance(100);
    expect(stateOf(actor)).toBe("raisingFloor");
    raises[1]?.resolve();
    await clock.advance(0);
    steps[0]?.reject(new Error("no"));
    await clock.advance(199);
    expect(stateOf(actor)).toBe("backingOff");
    actor.send({ type: "PRUNE" });
    expect(stateOf(actor)).toBe("raisingFloor");
  });
});
