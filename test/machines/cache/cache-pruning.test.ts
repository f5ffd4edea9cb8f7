import { createActor, fromPromise } from "xstate";
import { describe, expect, test } from "vitest";
import { cachePruningMachine, type CachePruningEvent, type CacheSwept } from "../../../machines/cache/cache-pruning.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import { answers, stateOf } from "../every-event.js";

const usualUnusedMs = 500;

function started() {
  const done: string[] = [];
  const clock = new SimulatedClock();
  const steps: {
    readonly unusedMs: number;
    readonly resolve: (swept: CacheSwept) => void;
    readonly reject: (error: unknown) => void;
  }[] = [];
  const machine = cachePruningMachine.provide({
    actors: {
      step: fromPromise(
        ({ input: { unusedMs } }) => new Promise<CacheSwept>((resolve, reject) => steps.push({ unusedMs, resolve, reject })),
      ),
    },
    actions: {
      takeCalls: () => void done.push("takeCalls"),
      answerCalls: ({ context: { entries, tags } }) => void done.push(`answerCalls ${entries}+${tags}`),
      failCalls: () => void done.push("failCalls"),
      logSwept: () => void done.push("logSwept"),
      logFailed: () => void done.push("logFailed"),
      logUnexpected: () => void done.push("logUnexpected"),
    },
    delays: { pruningInterval: 1_000, backOff: ({ context }) => 100 * context.sweepsFailed },
  });
  const actor = createActor(machine, { id: "pruning", clock, input: { usualUnusedMs } });
  actor.start();
  /** Resolves the current step. */
  const end = async (how: Partial<CacheSwept> | Error) => {
    const step = steps.at(-1);
    if (how instanceof Error) step?.reject(how);
    else step?.resolve({ entries: 0, tags: 0, done: true, ...how });
    await clock.advance(0);
  };
  return { actor, done, clock, steps, end, state: () => stateOf(actor) };
}

describe("the machine that prunes a cache", () => {
  test("answers every event in every state", async () => {
    const table: Record<string, unknown> = {};
    const events: (CachePruningEvent | { type: "NOT_KNOWN" })[] = [{ type: "PRUNE" }, { type: "NOT_KNOWN" }];
    for (const state of ["idle", "stepping", "backingOff"]) {
      const runs = await Promise.all(
        events.map(async () => {
          const run = started();
          if (state !== "idle") run.actor.send({ type: "PRUNE" });
          if (state === "backingOff") await run.end(new Error("failed"));
          return run;
        }),
      );
      const next = () => runs.shift() ?? started();
      Object.assign(table, answers(next, [state], events));
    }
    expect(table).toEqual({
      idle: { PRUNE: "stepping takeCalls", NOT_KNOWN: "idle logUnexpected" },
      stepping: { PRUNE: "stepping", NOT_KNOWN: "stepping logUnexpected" },
      backingOff: { PRUNE: "stepping takeCalls", NOT_KNOWN: "backingOff logUnexpected" },
    });
  });

  test("sweeps in steps after its interval, counts what they remove, and begins again", async () => {
    const { clock, steps, end, done, state } = started();
    await clock.advance(1_000);
    expect([state(), steps.map(({ unusedMs }) => unusedMs)]).toEqual(["stepping", [usualUnusedMs]]);
    await end({ entries: 2, done: false });
    expect(steps).toHaveLength(2);
    await end({ entries: 1, tags: 4 });
    expect([state(), done]).toEqual(["idle", ["takeCalls", "answerCalls 3+4", "logSwept"]]);
    await clock.advance(1_000);
    await end({ tags: 1 });
    expect(done.slice(3)).toEqual(["takeCalls", "answerCalls 0+1", "logSwept"]);
  });

  test("serves all PRUNEs during a sweep by one more, with the shortest time unused", async () => {
    const { actor, steps, end, done, state } = started();
    actor.send({ type: "PRUNE", unusedMs: 60 });
    for (const unusedMs of [70, 50, undefined]) actor.send({ type: "PRUNE", ...(unusedMs === undefined ? {} : { unusedMs }) });
    expect(steps).toHaveLength(1);
    await end({ entries: 1 });
    expect([state(), done]).toEqual(["stepping", ["takeCalls", "answerCalls 1+0", "logSwept", "takeCalls"]]);
    await end({});
    expect([state(), steps.map(({ unusedMs }) => unusedMs)]).toEqual(["idle", [60, 50]]);
    actor.send({ type: "PRUNE" });
    expect(steps.at(-1)?.unusedMs).toBe(usualUnusedMs);
  });

  test("backs off after a failure, for longer each time, and not after a PRUNE", async () => {
    const { actor, clock, end, done, state } = started();
    actor.send({ type: "PRUNE" });
    await end(new Error("failed"));
    expect([state(), done]).toEqual(["backingOff", ["takeCalls", "logFailed", "failCalls"]]);
    await clock.advance(100);
    expect(state()).toBe("stepping");
    await end(new Error("failed"));
    await clock.advance(199);
    expect(state()).toBe("backingOff");
    actor.send({ type: "PRUNE" });
    expect(state()).toBe("stepping");
    actor.send({ type: "PRUNE" });
    await end(new Error("failed"));
    expect(state()).toBe("stepping");
  });
});
