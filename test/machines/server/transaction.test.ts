import { createActor } from "xstate";
import { describe, expect, test } from "vitest";
import { transactionMachine, type TransactionEvent } from "../../../machines/server/transaction.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import { answers, stateOf } from "../every-event.js";

const actions = [
  "enqueueAgain",
  "hold",
  "enqueueFinish",
  "release",
  "fence",
  "refuseAborted",
  "refuseTimedOut",
  "closeSession",
  "logTimedOut",
  "logUnexpected",
] as const;

const ways: Readonly<Record<string, readonly TransactionEvent["type"][]>> = {
  queued: [],
  waiting: ["HELD_OBJECT_MET"],
  voted: ["VOTED"],
  writing: ["VOTED", "FINISH"],
};

function inState(state: string) {
  const done: string[] = [];
  const clock = new SimulatedClock();
  const machine = transactionMachine.provide({
    actions: Object.fromEntries(actions.map((name) => [name, () => void done.push(name)])),
    delays: { transactionTimeout: 1_000 },
  });
  const actor = createActor(machine, { id: "transaction", clock, input: { id: "t" } });
  actor.start();
  for (const type of ways[state] ?? []) actor.send({ type });
  return { actor, done, clock };
}

describe("the machine of a transaction", () => {
  test("answers every event in every state", () => {
    const events: TransactionEvent[] = [
      { type: "HELD_OBJECT_MET" },
      { type: "OBJECTS_FREED" },
      { type: "VOTED" },
      { type: "ADDED" },
      { type: "FINISH" },
      { type: "ABORT" },
      { type: "SESSION_GONE" },
      { type: "WRITTEN" },
      { type: "REFUSED" },
    ];
    expect(answers(inState, Object.keys(ways), events)).toEqual({
      queued: {
        HELD_OBJECT_MET: "waiting",
        OBJECTS_FREED: "queued logUnexpected",
        VOTED: "voted hold",
        ADDED: "writing",
        FINISH: "queued",
        ABORT: "aborted refuseAborted fence release",
        SESSION_GONE: "aborted refuseAborted fence release",
        WRITTEN: "queued logUnexpected",
        REFUSED: "aborted release",
      },
      waiting: {
        HELD_OBJECT_MET: "waiting logUnexpected",
        OBJECTS_FREED: "queued enqueueAgain",
        VOTED: "waiting logUnexpected",
        ADDED: "waiting logUnexpected",
        FINISH: "waiting",
        ABORT: "aborted refuseAborted fence release",
        SESSION_GONE: "aborted refuseAborted fence release",
        WRITTEN: "waiting logUnexpected",
        REFUSED: "aborted release",
      },
      voted: {
        HELD_OBJECT_MET: "voted logUnexpected",
        OBJECTS_FREED: "voted logUnexpected",
        VOTED: "voted logUnexpected",
        ADDED: "voted logUnexpected",
        FINISH: "writing enqueueFinish",
        ABORT: "aborted fence release",
        SESSION_GONE: "aborted fence release",
        WRITTEN: "voted logUnexpected",
        REFUSED: "voted logUnexpected",
      },
      writing: {
        HELD_OBJECT_MET: "writing logUnexpected",
        OBJECTS_FREED: "writing logUnexpected",
        VOTED: "writing logUnexpected",
        ADDED: "writing logUnexpected",
        FINISH: "writing",
        ABORT: "writing",
        SESSION_GONE: "writing",
        WRITTEN: "committed release",
        REFUSED: "aborted release",
      },
    });
  });

  test("waits no longer than its time-out in total, even if it waits several times", async () => {
    const { actor, done, clock } = inState("waiting");
    await clock.advance(900);
    actor.send({ type: "OBJECTS_FREED" });
    actor.send({ type: "HELD_OBJECT_MET" });
    await clock.advance(99);
    expect(stateOf(actor)).toBe("waiting");
    await clock.advance(1);
    expect(stateOf(actor)).toBe("timedOut");
    expect(done).toEqual(["enqueueAgain", "logTimedOut", "refuseTimedOut", "fence", "release"]);
  });

  test("has a new time-out after the vote, and loses its session when that time-out passes", async () => {
    const { actor, done, clock } = inState("queued");
    await clock.advance(900);
    actor.send({ type: "VOTED" });
    await clock.advance(999);
    expect(stateOf(actor)).toBe("voted");
    await clock.advance(1);
    expect(stateOf(actor)).toBe("timedOut");
    expect(done).toEqual(["hold", "logTimedOut", "fence", "closeSession", "release"]);
  });

  test("does not time out while its batch is written", async () => {
    const { actor, clock } = inState("writing");
    await clock.advance(1_000_000);
    expect(stateOf(actor)).toBe("writing");
  });
});
