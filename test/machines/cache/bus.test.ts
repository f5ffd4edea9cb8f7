import { createActor, fromPromise } from "xstate";
import { describe, expect, test } from "vitest";
import { deferred } from "../../../core/deferred.js";
import { busMachine, type BusMachineEvent } from "../../../machines/cache/bus.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import { answers, stateOf } from "../every-event.js";

type Work = "reach" | "examine" | "replay";

const noted = ["suspend", "forgetHeard", "follow", "leave", "beat", "noteTrouble", "logUnexpected"] as const;

const retryMs = 100;
const lookMs = 1_000;

/** A bus whose work the test settles; its guards return `facts`. */
function openBus() {
  const done: string[] = [];
  const clock = new SimulatedClock();
  const facts = { isWhole: true, wasHeldUp: false, isSilent: false, isBeatDue: false };
  const underWay = new Map<
    Work,
    { readonly resolve: () => void; readonly reject: (error: unknown) => void; readonly signal: AbortSignal }
  >();
  const work = (name: Work) =>
    fromPromise<void>(({ signal }) => {
      const { promise, resolve, reject } = deferred<void>();
      underWay.set(name, { resolve: () => resolve(), reject, signal });
      return promise;
    });
  const actions = Object.fromEntries(noted.map((name) => [name, () => void done.push(name)]));
  const machine = busMachine.provide({
    actors: { reach: work("reach"), examine: work("examine"), replay: work("replay") },
    actions: {
      ...actions,
      notifyCut: (_, { reason }) => void done.push(`cut(${reason})`),
      logCatchingUp: (_, { reason }) => void done.push(`because(${reason})`),
    },
    guards: {
      isWhole: () => facts.isWhole,
      wasHeldUp: () => facts.wasHeldUp,
      isSilent: () => facts.isSilent,
      isBeatDue: () => facts.isBeatDue,
    },
    delays: { retryDelay: ({ context }) => retryMs * context.failures, untilLook: lookMs },
  });
  const actor = createActor(machine, { clock });
  actor.start();
  const settle = async (name: Work, error?: Error) => {
    if (error === undefined) underWay.get(name)?.resolve();
    else underWay.get(name)?.reject(error);
    await clock.advance(0);
  };
  const state = () => {
    const { value } = actor.getSnapshot();
    return typeof value === "object" ? Object.entries(value).flat().join(".") : value;
  };
  return { actor, done, clock, facts, settle, state, signalOf: (name: Work) => underWay.get(name)?.signal };
}

type OpenedBus = ReturnType<typeof openBus>;

/** Steps from the start to each state. */
const ways: Readonly<Record<string, (bus: OpenedBus) => Promise<void>>> = {
  "cut.unlinked": async () => undefined,
  "cut.reaching": async ({ actor }) => actor.send({ type: "LINKED" }),
  "cut.pausing": async (bus) => {
    await ways["cut.reaching"]?.(bus);
    await bus.settle("reach", new Error("no answer"));
  },
  "catchingUp.examining": async (bus) => {
    await ways["cut.reaching"]?.(bus);
    await bus.settle("reach");
  },
  "catchingUp.replaying": async (bus) => {
    await ways["catchingUp.examining"]?.(bus);
    await bus.settle("examine");
  },
  "following.resting": async (bus) => {
    await ways["catchingUp.replaying"]?.(bus);
    await bus.settle("replay");
  },
  "catchingUp.reaching": async (bus) => {
    await ways["following.resting"]?.(bus);
    bus.actor.send({ type: "DOUBTED", reason: "a gap" });
  },
};

async function busIn(state: string): Promise<OpenedBus> {
  const bus = openBus();
  await ways[state]?.(bus);
  expect(bus.state()).toBe(state);
  bus.done.length = 0;
  return bus;
}

describe("the machine of a bus over JetStream", () => {
  test("answers every event in every state", async () => {
    const events: (BusMachineEvent | { type: "NOT_KNOWN" })[] = [
      { type: "LINKED" },
      { type: "LINK_LOST" },
      { type: "DOUBTED", reason: "a doubt" },
      { type: "CLOSE" },
      { type: "NOT_KNOWN" },
    ];
    const table: Record<string, Record<string, string>> = {};
    for (const state of Object.keys(ways)) {
      const buses = new Map<string, OpenedBus>();
      for (const { type } of events) buses.set(type, await busIn(state));
      const opened = [...buses.values()];
      Object.assign(
        table,
        answers(() => opened.shift() as OpenedBus, [state], events),
      );
    }
    const linked = "reaching because(a new link) suspend";
    const lost = "unlinked cut(the link was lost) suspend";
    const doubted = "reaching because(a doubt) suspend";
    const others = { CLOSE: "closed suspend" };
    const unexpected = (state: string) => ({ ...others, NOT_KNOWN: `${state} logUnexpected` });
    expect(table).toEqual({
      "cut.unlinked": { LINKED: linked, LINK_LOST: lost, DOUBTED: "unlinked", ...unexpected("unlinked") },
      "cut.reaching": { LINKED: linked, LINK_LOST: lost, DOUBTED: "reaching", ...unexpected("reaching") },
      "cut.pausing": { LINKED: linked, LINK_LOST: lost, DOUBTED: "reaching because(a doubt)", ...unexpected("pausing") },
      "catchingUp.reaching": { LINKED: linked, LINK_LOST: lost, DOUBTED: doubted, ...unexpected("reaching") },
      "catchingUp.examining": { LINKED: linked, LINK_LOST: lost, DOUBTED: doubted, ...unexpected("examining") },
      "catchingUp.replaying": { LINKED: linked, LINK_LOST: lost, DOUBTED: doubted, ...unexpected("replaying") },
      "following.resting": {
        LINKED: `reaching leave because(a new link) suspend`,
        LINK_LOST: `unlinked leave cut(the link was lost) suspend`,
        DOUBTED: `reaching leave because(a doubt) suspend`,
        CLOSE: "closed leave suspend",
        NOT_KNOWN: "resting logUnexpected",
      },
    });
  });

  test("follows once the broker has answered, the history was examined, and nothing is missing", async () => {
    const { actor, done, facts, settle, state } = openBus();
    actor.send({ type: "LINKED" });
    await settle("reach");
    await settle("examine");
    facts.isWhole = false;
    await settle("replay");
    expect(state()).toBe("catchingUp.replaying");
    expect(done).not.toContain("follow");
    facts.isWhole = true;
    await settle("replay");
    expect(state()).toBe("following.resting");
    expect(done.filter((each) => each === "follow")).toHaveLength(1);
  });

  test.each(["reach", "examine", "replay"] as const)(
    "after %s failed, is cut, and tries again after a pause that grows",
    async (failing) => {
      const { actor, done, clock, settle, state } = openBus();
      const steps = ["reach", "examine", "replay"] as const;
      const fail = async () => {
        for (const step of steps.slice(0, steps.indexOf(failing))) await settle(step);
        await settle(failing, new Error("refused"));
      };
      actor.send({ type: "LINKED" });
      for (const failures of [1, 2, 3]) {
        await fail();
        expect(state()).toBe("cut.pausing");
        expect(done.filter((each) => each !== "suspend").slice(-2)).toEqual(["noteTrouble", "cut(could not catch up)"]);
        await clock.advance(retryMs * failures - 1);
        expect(state()).toBe("cut.pausing");
        await clock.advance(1);
        expect(state()).toBe("cut.reaching");
      }
      for (const step of steps) await settle(step);
      expect(state()).toBe("following.resting");
      expect(actor.getSnapshot().context.failures).toBe(0);
    },
  );

  test.each([
    ["a lost link", "examine", { type: "LINK_LOST" }],
    ["a doubt", "examine", { type: "DOUBTED", reason: "a doubt" }],
    ["a close", "replay", { type: "CLOSE" }],
  ] as const)("%s ends the work that is under way", async (_, work, event) => {
    const { actor, signalOf } = await busIn(work === "examine" ? "catchingUp.examining" : "catchingUp.replaying");
    expect(signalOf(work)?.aborted).toBe(false);
    actor.send(event);
    expect(signalOf(work)?.aborted).toBe(true);
  });

  test("sends a heartbeat when a check finds that one is due, and keeps following", async () => {
    const { done, clock, facts, state } = await busIn("following.resting");
    await clock.advance(lookMs);
    expect(done).toEqual([]);
    facts.isBeatDue = true;
    await clock.advance(2 * lookMs);
    expect(done).toEqual(["beat", "beat"]);
    expect(state()).toBe("following.resting");
  });

  test.each([
    ["isSilent", "the stream is silent"],
    ["wasHeldUp", "this process was held up"],
  ] as const)("when a look finds %s, is cut until the broker answers", async (fact, reason) => {
    const { actor, done, clock, facts, settle, state } = await busIn("following.resting");
    facts[fact] = true;
    await clock.advance(lookMs);
    expect(state()).toBe("cut.reaching");
    expect(done).toEqual(["leave", `cut(${reason})`, `because(${reason})`, "suspend"]);
    expect(stateOf(actor)).toBe("reaching");
    await settle("reach");
    expect(state()).toBe("catchingUp.examining");
  });
});
