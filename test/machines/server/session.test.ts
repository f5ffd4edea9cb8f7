import { createActor } from "xstate";
import { describe, expect, test } from "vitest";
import { sessionMachine, type SessionEvent } from "../../../machines/server/session.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import { answers, stateOf } from "../every-event.js";

function inState(_state: string) {
  const done: string[] = [];
  const clock = new SimulatedClock();
  let heardAtMs = 0;
  const machine = sessionMachine.provide({
    actions: {
      abortTransactions: () => void done.push("abortTransactions"),
      forget: () => void done.push("forget"),
      logGone: (_, { reason }) => void done.push(`logGone(${reason})`),
      logUnexpected: () => void done.push("logUnexpected"),
    },
    guards: { wasHeard: () => clock.monotonic() - heardAtMs < 1_000 },
    delays: { silenceLeft: () => heardAtMs + 1_000 - clock.monotonic() },
  });
  const actor = createActor(machine, { id: "session", clock, input: { session: "s" } });
  actor.start();
  const hear = () => {
    heardAtMs = clock.monotonic();
  };
  return { actor, done, clock, hear };
}

describe("the machine of a session", () => {
  test("answers every event in every state", () => {
    const events: (SessionEvent | { type: "NOT_KNOWN" })[] = [
      { type: "BYE" },
      { type: "TRANSACTION_HUNG" },
      { type: "DISPLACED" },
      { type: "NOT_KNOWN" },
    ];
    expect(answers(inState, ["live"], events)).toEqual({
      live: {
        BYE: "gone logGone(bye) forget abortTransactions",
        TRANSACTION_HUNG: "gone logGone(a transaction hung) forget abortTransactions",
        DISPLACED: "gone logGone(displaced) forget abortTransactions",
        NOT_KNOWN: "live logUnexpected",
      },
    });
  });

  test("lives while it receives messages, and ends after its time of silence", async () => {
    const { actor, done, clock, hear } = inState("live");
    for (let round = 0; round < 5; round++) {
      await clock.advance(700);
      hear();
    }
    await clock.advance(999);
    expect(stateOf(actor)).toBe("live");
    await clock.advance(1);
    expect(stateOf(actor)).toBe("gone");
    expect(done).toEqual(["logGone(silent)", "forget", "abortTransactions"]);
  });
});
