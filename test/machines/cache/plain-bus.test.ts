import { createActor } from "xstate";
import { describe, expect, test } from "vitest";
import { type PlainBusEvent, plainBusMachine } from "../../../machines/cache/plain-bus.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import { answers } from "../every-event.js";

const noted = ["greet", "unlink", "forgetPublishers", "follow", "leave", "beat", "logUnexpected"] as const;
const beatMs = 1_000;

const states = ["unlinked", "greeting", "following", "silent"] as const;

/** A bus that is in `state`; its guards return `facts`. */
async function busIn(state: (typeof states)[number]) {
  const done: string[] = [];
  const clock = new SimulatedClock();
  const facts = { wasHeldUp: false, isSilent: false };
  const machine = plainBusMachine.provide({
    actions: {
      ...Object.fromEntries(noted.map((name) => [name, () => void done.push(name)])),
      notifyCut: (_, { reason }) => void done.push(`cut(${reason})`),
    },
    guards: { wasHeldUp: () => facts.wasHeldUp, isSilent: () => facts.isSilent },
    delays: { beatDelay: beatMs },
  });
  const actor = createActor(machine, { clock });
  actor.start();
  if (state !== "unlinked") actor.send({ type: "LINKED" });
  if (state === "following" || state === "silent") actor.send({ type: "ECHOED" });
  facts.isSilent = state === "silent";
  if (state === "silent") await clock.advance(beatMs);
  facts.isSilent = false;
  done.length = 0;
  return { actor, done, clock, facts };
}

describe("the machine of a bus over plain NATS", () => {
  test("answers every event in every state", async () => {
    const events: (PlainBusEvent | { type: "NOT_KNOWN" })[] = [
      { type: "LINKED" },
      { type: "LINK_LOST" },
      { type: "ECHOED" },
      { type: "CLOSE" },
      { type: "NOT_KNOWN" },
    ];
    const buses: Awaited<ReturnType<typeof busIn>>[] = [];
    for (const state of states) for (const _ of events) buses.push(await busIn(state));
    const lost = "unlinked cut(the link was lost) forgetPublishers unlink";
    expect(answers(() => buses.shift() as (typeof buses)[number], states, events)).toEqual({
      unlinked: { LINKED: "greeting greet", LINK_LOST: lost, ECHOED: "unlinked", CLOSE: "closed", NOT_KNOWN: "unlinked logUnexpected" },
      greeting: {
        LINKED: "greeting greet",
        LINK_LOST: lost,
        ECHOED: "resting follow",
        CLOSE: "closed",
        NOT_KNOWN: "greeting logUnexpected",
      },
      following: {
        LINKED: "greeting leave greet",
        LINK_LOST: "unlinked leave cut(the link was lost) forgetPublishers unlink",
        ECHOED: "resting",
        CLOSE: "closed leave",
        NOT_KNOWN: "resting logUnexpected",
      },
      silent: { LINKED: "greeting greet", LINK_LOST: lost, ECHOED: "resting follow", CLOSE: "closed", NOT_KNOWN: "silent logUnexpected" },
    });
  });

  test("sends greetings at the heartbeat interval until one comes back, and then sends heartbeats", async () => {
    const { actor, done, clock } = await busIn("greeting");
    await clock.advance(2 * beatMs);
    expect(done).toEqual(["greet", "greet"]);
    actor.send({ type: "ECHOED" });
    await clock.advance(2 * beatMs);
    expect(done).toEqual(["greet", "greet", "follow", "beat", "beat"]);
  });

  test.each([
    ["isSilent", "the broker is silent"],
    ["wasHeldUp", "this process was held up"],
  ] as const)("when %s, is cut, and greets until a greeting comes back", async (fact, reason) => {
    const { actor, done, clock, facts } = await busIn("following");
    facts[fact] = true;
    await clock.advance(beatMs);
    expect(actor.getSnapshot().value).toEqual({ cut: "silent" });
    expect(done).toEqual(["leave", `cut(${reason})`, "forgetPublishers", "greet"]);
    await clock.advance(beatMs);
    expect(done.at(-1)).toBe("greet");
    actor.send({ type: "ECHOED" });
    expect(actor.getSnapshot().value).toEqual({ following: "resting" });
  });
});
