import { createActor } from "xstate";
import { describe, expect, test } from "vitest";
import { committingMachine, type CommittingEvent } from "../../../machines/client/committing.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import { answers } from "../every-event.js";

type State = "idle" | "sending" | "waiting";

const awaited: CommittingEvent = { type: "LINK_AWAITED" };
const sent: CommittingEvent = { type: "COMMITS_SENT" };
const events = ["LINK_AWAITED", "COMMITS_SENT", "CLOSE", "NOT_KNOWN"].map((type) => ({ type }) as CommittingEvent);

const way: Record<State, readonly CommittingEvent[]> = { idle: [], sending: [awaited], waiting: [sent] };

/** The machine in `state`, with an answer that is awaited. */
function inState(state: State) {
  const done: string[] = [];
  const clock = new SimulatedClock();
  const counts = { unsent: 0, unanswered: 1 };
  const machine = committingMachine.provide({
    actions: { logUnexpected: () => void done.push("logUnexpected") },
    guards: { isAnyUnsent: () => counts.unsent > 0, isAnswerAwaited: () => counts.unanswered > 0 },
    delays: { lookDelay: 10 },
  });
  const actor = createActor(machine, { clock });
  actor.start();
  for (const event of way[state]) actor.send(event);
  return { actor, done, clock, counts };
}

describe("the machine of a client's commits", () => {
  test("answers every event in every state", () => {
    expect(answers((state) => inState(state as State), Object.keys(way), events)).toEqual({
      idle: { LINK_AWAITED: "sending", COMMITS_SENT: "waiting", CLOSE: "closed", NOT_KNOWN: "idle logUnexpected" },
      sending: {
        LINK_AWAITED: "sending logUnexpected",
        COMMITS_SENT: "waiting",
        CLOSE: "closed",
        NOT_KNOWN: "sending logUnexpected",
      },
      waiting: {
        LINK_AWAITED: "waiting logUnexpected",
        COMMITS_SENT: "waiting logUnexpected",
        CLOSE: "closed",
        NOT_KNOWN: "waiting logUnexpected",
      },
    });
  });

  test.each(["idle", "sending"] as const)("%s leads to idle when the last commit fails before it is sent", (state) => {
    const { actor, counts, done } = inState(state);
    counts.unanswered = 0;
    actor.send(sent);
    expect(actor.getSnapshot().value).toBe("idle");
    expect(done).toEqual([]);
  });

  test("waiting ends at the first look that finds no commit under way", async () => {
    const { actor, clock, counts } = inState("waiting");
    await clock.advance(25);
    expect(actor.getSnapshot().value).toBe("waiting");
    counts.unanswered = 0;
    await clock.advance(4);
    expect(actor.getSnapshot().value).toBe("waiting");
    await clock.advance(1);
    expect(actor.getSnapshot().value).toBe("idle");
  });

  test("a look that finds a commit which is not sent shows that", async () => {
    const { actor, clock, counts } = inState("waiting");
    counts.unsent = 1;
    await clock.advance(10);
    expect(actor.getSnapshot().value).toBe("sending");
    counts.unsent = 0;
    actor.send(sent);
    expect(actor.getSnapshot().value).toBe("waiting");
  });
});
