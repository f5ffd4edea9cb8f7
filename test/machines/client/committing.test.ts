import { createActor } from "xstate";
import { describe, expect, test } from "vitest";
import { committingMachine, type CommittingEvent } from "../../../machines/client/committing.js";
import { answers } from "../every-event.js";

type State = "idle" | "sending" | "waiting";

const events = ["COMMITS_BEGUN", "COMMITS_SENT", "COMMITS_ANSWERED", "CLOSE", "NOT_KNOWN"].map((type) => ({ type }) as CommittingEvent);

const way: Record<State, readonly CommittingEvent[]> = {
  idle: [],
  sending: [{ type: "COMMITS_BEGUN" }],
  waiting: [{ type: "COMMITS_BEGUN" }, { type: "COMMITS_SENT" }],
};

function committing(isAnswerAwaited: boolean) {
  const done: string[] = [];
  const machine = committingMachine.provide({
    actions: { logUnexpected: () => void done.push("logUnexpected") },
    guards: { isAnswerAwaited: () => isAnswerAwaited },
  });
  const actor = createActor(machine);
  actor.start();
  return { actor, done };
}

describe("the machine of a client's commits", () => {
  test("answers every event in every state", () => {
    const inState = (state: string) => {
      const world = committing(true);
      for (const event of way[state as State]) world.actor.send(event);
      return world;
    };
    expect(answers(inState, Object.keys(way), events)).toEqual({
      idle: {
        COMMITS_BEGUN: "sending",
        COMMITS_SENT: "idle logUnexpected",
        COMMITS_ANSWERED: "idle logUnexpected",
        CLOSE: "closed",
        NOT_KNOWN: "idle logUnexpected",
      },
      sending: {
        COMMITS_BEGUN: "sending logUnexpected",
        COMMITS_SENT: "waiting",
        COMMITS_ANSWERED: "sending",
        CLOSE: "closed",
        NOT_KNOWN: "sending logUnexpected",
      },
      waiting: {
        COMMITS_BEGUN: "sending",
        COMMITS_SENT: "waiting logUnexpected",
        COMMITS_ANSWERED: "idle",
        CLOSE: "closed",
        NOT_KNOWN: "waiting logUnexpected",
      },
    });
  });

  test("a batch ends when its last commit fails before anything was sent", () => {
    const { actor, done } = committing(false);
    actor.send({ type: "COMMITS_BEGUN" });
    actor.send({ type: "COMMITS_SENT" });
    expect(actor.getSnapshot().value).toBe("idle");
    expect(done).toEqual([]);
  });
});
