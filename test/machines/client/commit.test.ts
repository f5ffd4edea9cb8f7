import { createActor, fromPromise } from "xstate";
import { describe, expect, test } from "vitest";
import { commitMachine, type CommitEvent, type CommitSubject, type CommitPosition } from "../../../machines/client/commit.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import { stateOf } from "../every-event.js";

type Step = "vote" | "finish" | "abort" | "settle";
type State = "voting" | "voted" | "finishing" | "aborting" | "settling" | "pausing";

const position: CommitPosition = { tid: 5, previous: 4, digest: "d" };

/** A commit whose steps are settled by the test. */
function commit(start: "vote" | "settle" = "vote") {
  const done: string[] = [];
  const clock = new SimulatedClock();
  const waiting = new Map<Step, { resolve: (value: never) => void; reject: (error: unknown) => void }>();
  const asked = <T>(name: Step) => {
    done.push(name);
    return new Promise<T>((resolve, reject) => waiting.set(name, { resolve, reject }));
  };
  const step = <T>(name: Step) => fromPromise<T, CommitSubject>(() => asked<T>(name));
  const actor = createActor(
    commitMachine.provide({
      actors: {
        vote: step<void>("vote"),
        finish: step<CommitPosition>("finish"),
        abort: step<void>("abort"),
        settle: fromPromise(() => asked<CommitPosition | undefined>("settle")),
      },
      actions: {
        logUnexpected: () => void done.push("logUnexpected"),
        reportVoted: (_, { id }) => void done.push(`voted ${id}`),
      },
      guards: { isInDoubt: (_, { error }) => error === "lost", isUnknowable: (_, { error }) => error === "unknowable" },
      delays: { settleDelay: ({ context }) => 10 * context.pauses, settleTimeout: 1_000 },
    }),
    { id: "commit", clock, input: { id: "transaction", start } },
  );
  actor.start();
  return {
    actor,
    done,
    clock,
    resolved: async (name: Step, value?: CommitPosition) => {
      waiting.get(name)?.resolve(value as never);
      await clock.advance(0);
    },
    rejected: async (name: Step, error: unknown) => {
      waiting.get(name)?.reject(error);
      await clock.advance(0);
    },
    output: () => actor.getSnapshot().output,
  };
}

async function inState(state: State) {
  const world = commit(state === "settling" || state === "pausing" ? "settle" : "vote");
  if (state === "voted" || state === "finishing") await world.resolved("vote");
  if (state === "finishing") world.actor.send({ type: "FINISH" });
  if (state === "aborting") world.actor.send({ type: "ABORT" });
  if (state === "pausing") await world.rejected("settle", "lost");
  expect(stateOf(world.actor)).toBe(state);
  world.done.length = 0;
  return world;
}

const expected: Record<State, Record<string, string>> = {
  voting: { FINISH: "voting logUnexpected", ABORT: "aborting abort", NOT_KNOWN: "voting logUnexpected" },
  voted: { FINISH: "finishing finish", ABORT: "aborting abort", NOT_KNOWN: "voted logUnexpected" },
  finishing: { FINISH: "finishing logUnexpected", ABORT: "finishing", NOT_KNOWN: "finishing logUnexpected" },
  aborting: { FINISH: "aborting logUnexpected", ABORT: "aborting", NOT_KNOWN: "aborting logUnexpected" },
  settling: {
    FINISH: "settling logUnexpected",
    ABORT: "settling",
    NOT_KNOWN: "settling logUnexpected",
  },
  pausing: {
    FINISH: "pausing logUnexpected",
    ABORT: "pausing",
    NOT_KNOWN: "pausing logUnexpected",
  },
};

describe("the machine of a commit", () => {
  test.each(Object.keys(expected) as State[])("answers every event in %s", async (state) => {
    const answered: Record<string, string> = {};
    for (const type of ["FINISH", "ABORT", "NOT_KNOWN"]) {
      const { actor, done } = await inState(state);
      actor.send({ type } as CommitEvent);
      answered[type] = [stateOf(actor), ...done].join(" ");
    }
    expect(answered).toEqual(expected[state]);
  });

  test("a vote, then a finish, commit", async () => {
    const { actor, resolved, output } = await inState("voted");
    actor.send({ type: "FINISH" });
    await resolved("finish", position);
    expect(output()).toEqual({ type: "committed", position });
  });

  test("a vote without an answer aborts: nothing commits without a finish", async () => {
    const { rejected, resolved, output, done } = await inState("voting");
    await rejected("vote", "lost");
    expect(done).toEqual(["abort"]);
    await resolved("abort");
    expect(output()).toEqual({ type: "aborted", error: "lost", secondPhase: false });
  });

  test("a vote that is refused is aborted without another message", async () => {
    const { rejected, output, done } = await inState("voting");
    await rejected("vote", "conflict");
    expect(output()).toEqual({ type: "aborted", error: "conflict", secondPhase: false });
    expect(done).toEqual([]);
  });

  test("a finish without an answer is settled, as often as it takes", async () => {
    const { rejected, resolved, output, clock, done } = await inState("finishing");
    await rejected("finish", "lost");
    await rejected("settle", "lost");
    await clock.advance(10);
    await resolved("settle", position);
    expect(done).toEqual(["settle", "settle"]);
    expect(output()).toEqual({ type: "committed", position });
  });

  test("a commit that the server aborted after its finish was sent says that it was in its second phase", async () => {
    const refused = await inState("finishing");
    await refused.rejected("finish", "timed out");
    expect(refused.output()).toEqual({ type: "aborted", error: "timed out", secondPhase: true });
    const never = await inState("finishing");
    await never.rejected("finish", "lost");
    await never.resolved("settle");
    expect(never.output()).toMatchObject({ type: "aborted", secondPhase: true });
  });

  test("the outcome is unknown when the server does not know it, or cannot be asked in time", async () => {
    const answered = await inState("settling");
    await answered.rejected("settle", "unknowable");
    expect(answered.output()).toEqual({ type: "unknown", error: "unknowable" });
    const late = await inState("settling");
    await late.clock.advance(999);
    expect(late.output()).toBeUndefined();
    await late.clock.advance(1);
    expect(late.output()).toMatchObject({ type: "unknown" });
  });
});
