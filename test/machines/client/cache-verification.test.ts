import { createActor, fromPromise } from "xstate";
import { describe, expect, test } from "vitest";
import { cacheVerificationMachine, type Comparison } from "../../../machines/client/cache-verification.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import { stateOf } from "../every-event.js";

const position = { tid: 9, digest: "d" };

interface Answers {
  readonly onOtherHistory?: "refuse" | "discard";
  readonly comparison?: Comparison["type"] | Error;
  readonly failing?: "replay" | "discard";
  /** Reason of the failure. */
  readonly reason?: unknown;
  readonly hanging?: "compare" | "replay" | "discard";
}

async function verified({ onOtherHistory = "refuse", comparison = "upToDate", failing, hanging, ...rest }: Answers) {
  const done: string[] = [];
  const clock = new SimulatedClock();
  const act = (name: "replay" | "discard") =>
    fromPromise<void, Comparison>(({ input }) => {
      done.push(`${name} to ${input.position.tid}`);
      if (hanging === name) return new Promise(() => undefined);
      return failing === name ? Promise.reject("reason" in rest ? rest.reason : new Error(name)) : Promise.resolve();
    });
  const actor = createActor(
    cacheVerificationMachine.provide({
      actors: {
        compare: fromPromise<Comparison>(() => {
          if (hanging === "compare") return new Promise(() => undefined);
          return comparison instanceof Error ? Promise.reject(comparison) : Promise.resolve({ type: comparison, position });
        }),
        replay: act("replay"),
        discard: act("discard"),
      },
      actions: { logUnexpected: () => void done.push("logUnexpected") },
    }),
    { id: "cache-verification", clock, input: { onOtherHistory } },
  );
  actor.start();
  await clock.advance(0);
  return { actor, done, output: actor.getSnapshot().output };
}

describe("the machine of cache verification", () => {
  test("each result of the comparison has its own outcome", async () => {
    const outcome = async (answers: Answers) => {
      const { output, done } = await verified(answers);
      return [output, ...done];
    };
    expect(await outcome({ comparison: "upToDate" })).toEqual([{ type: "verified", how: "upToDate" }]);
    expect(await outcome({ comparison: "replay" })).toEqual([{ type: "verified", how: "replayed" }, "replay to 9"]);
    expect(await outcome({ comparison: "discard" })).toEqual([{ type: "verified", how: "discarded" }, "discard to 9"]);
    for (const type of ["otherHistory", "lost"] as const) {
      expect(await outcome({ comparison: type })).toEqual([{ type: "refused", comparison: { type, position } }]);
      const discarded = await outcome({ comparison: type, onOtherHistory: "discard" });
      expect(discarded).toEqual([{ type: "verified", how: "discarded" }, "discard to 9"]);
    }
    // The server may still reach the client's position: the cache is kept.
    for (const onOtherHistory of ["refuse", "discard"] as const)
      expect(await outcome({ comparison: "behind", onOtherHistory })).toEqual([
        { type: "refused", comparison: { type: "behind", position } },
      ]);
  });

  test("the output is `failed` when a step fails, in each state and with any reason", async () => {
    const lost = new Error("lost");
    expect((await verified({ comparison: lost })).output).toEqual({ type: "failed", error: lost });
    expect((await verified({ comparison: "replay", failing: "replay" })).output).toMatchObject({ type: "failed" });
    expect((await verified({ comparison: "discard", failing: "discard" })).output).toMatchObject({ type: "failed" });
    expect((await verified({ comparison: "replay", failing: "replay", reason: undefined })).output).toEqual({ type: "failed" });
  });

  test("an event is unexpected in every state", async () => {
    const states = { comparing: {}, replaying: { comparison: "replay" }, discarding: { comparison: "discard" } } as const;
    for (const [state, answers] of Object.entries(states)) {
      const hanging = state === "comparing" ? "compare" : state === "replaying" ? "replay" : "discard";
      const { actor, done } = await verified({ ...answers, hanging });
      actor.send({ type: "NOT_KNOWN" });
      expect([stateOf(actor), done.at(-1)]).toEqual([state, "logUnexpected"]);
    }
  });
});
