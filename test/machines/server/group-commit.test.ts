import { createActor, fromPromise } from "xstate";
import { describe, expect, test } from "vitest";
import { groupCommitMachine, type GroupCommitEvent } from "../../../machines/server/group-commit.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import { stateOf } from "../every-event.js";

type Work = "write" | "maintain" | "reopen";
/** Types of the events without data. */
type PlainEvent = Exclude<GroupCommitEvent["type"], "BATCH_IN_DOUBT">;

function started() {
  const done: string[] = [];
  const clock = new SimulatedClock();
  const works: { readonly work: Work; readonly resolve: () => void; readonly reject: (error: unknown) => void }[] = [];
  const waiting = { commits: false, finishes: 0, maintenance: false };
  const work = (name: Work) =>
    fromPromise(() => {
      if (name === "maintain") waiting.maintenance = false;
      return new Promise<void>((resolve, reject) => works.push({ work: name, resolve, reject }));
    });
  const machine = groupCommitMachine.provide({
    actors: { maintain: work("maintain"), reopenStore: work("reopen") },
    actions: {
      writeBatch: () => {
        waiting.commits = false;
        waiting.finishes = Math.max(0, waiting.finishes - 1);
        works.push({
          work: "write",
          resolve: () => actor.send({ type: "BATCH_WRITTEN" }),
          reject: (error) => actor.send({ type: "BATCH_IN_DOUBT", error }),
        });
      },
      announceRecovered: () => void done.push("announceRecovered"),
      refuseWaiting: () => {
        waiting.commits = false;
        done.push("refuseWaiting");
      },
      logInDoubt: () => void done.push("logInDoubt"),
      logReopeningFailed: () => void done.push("logReopeningFailed"),
      logReadOnly: () => void done.push("logReadOnly"),
      reportFatal: () => void done.push("reportFatal"),
      logUnexpected: () => void done.push("logUnexpected"),
    },
    guards: {
      isFinishLeft: ({ context }) => context.closing && waiting.finishes > 0,
      areCommitsWaiting: ({ context }) => !context.closing && waiting.commits,
      isMaintenanceWaiting: () => waiting.maintenance,
    },
    delays: { reopenDelay: 10, probationDelay: 1_000 },
  });
  const actor = createActor(machine, { id: "group-commit", clock });
  actor.start();
  const send = (type: PlainEvent) => {
    if (type === "COMMITS_WAITING") waiting.commits = true;
    if (type === "MAINTENANCE_WAITING") waiting.maintenance = true;
    actor.send({ type });
  };
  /** Settles the current work. */
  const end = async (name: Work, how: "resolve" | "reject") => {
    const under = works.shift();
    expect(under?.work).toBe(name);
    if (how === "resolve") under?.resolve();
    else under?.reject(new Error("failed"));
    await clock.advance(0);
  };
  return { actor, done, clock, send, end, works, waiting, state: () => stateOf(actor) };
}

/** A machine that is in `state`. */
async function inState(state: string) {
  const run = started();
  if (state === "idle") return run;
  if (state === "maintaining") {
    run.send("MAINTENANCE_WAITING");
    return run;
  }
  run.send("COMMITS_WAITING");
  if (state === "writing") return run;
  await run.end("write", "reject");
  if (state === "inDoubt") return run;
  await run.clock.advance(10);
  if (state === "reopening") return run;
  await run.end("reopen", "resolve");
  run.send("COMMITS_WAITING");
  await run.end("write", "reject");
  await run.clock.advance(10);
  await run.end("reopen", "resolve");
  return run;
}

describe("the machine of group commit", () => {
  test("answers every event in every state", async () => {
    const table: Record<string, Record<string, string>> = {};
    for (const state of ["idle", "writing", "maintaining", "inDoubt", "reopening", "readOnly"]) {
      const row: Record<string, string> = (table[state] = {});
      for (const type of [
        "COMMITS_WAITING",
        "MAINTENANCE_WAITING",
        "BATCH_STARTED",
        "CLOSE",
        "BATCH_WRITTEN",
        "BATCH_IN_DOUBT",
        "NOT_KNOWN",
      ]) {
        const run = await inState(state);
        expect(run.state()).toBe(state);
        run.done.length = 0;
        run.send(type as PlainEvent);
        row[type] = [run.state(), ...run.done].join(" ");
        run.actor.stop();
      }
    }
    const stays = (state: string) => ({
      COMMITS_WAITING: state,
      MAINTENANCE_WAITING: state,
      BATCH_STARTED: `${state} logUnexpected`,
      CLOSE: state,
      BATCH_WRITTEN: `${state} logUnexpected`,
      BATCH_IN_DOUBT: `${state} logUnexpected`,
      NOT_KNOWN: `${state} logUnexpected`,
    });
    expect(table).toEqual({
      idle: { ...stays("idle"), COMMITS_WAITING: "writing", MAINTENANCE_WAITING: "maintaining", BATCH_STARTED: "writing", CLOSE: "closed" },
      writing: { ...stays("writing"), BATCH_WRITTEN: "idle", BATCH_IN_DOUBT: "inDoubt logInDoubt" },
      maintaining: stays("maintaining"),
      inDoubt: stays("inDoubt"),
      reopening: stays("reopening"),
      readOnly: { ...stays("readOnly"), COMMITS_WAITING: "readOnly refuseWaiting", CLOSE: "closed" },
    });
  });

  test("writes one batch at a time, and then the commits that arrived meanwhile", async () => {
    const { send, end, works, state } = started();
    send("COMMITS_WAITING");
    send("COMMITS_WAITING");
    expect([state(), works.length]).toEqual(["writing", 1]);
    await end("write", "resolve");
    expect([state(), works.length]).toEqual(["writing", 1]);
    await end("write", "resolve");
    expect([state(), works.length]).toEqual(["idle", 0]);
  });

  test("opens no second batch for a commit whose batch was started while it was idle", async () => {
    const { actor, send, end, works, state } = started();
    send("BATCH_STARTED");
    expect([state(), works.length]).toEqual(["writing", 0]);
    send("COMMITS_WAITING");
    expect(works.length).toBe(0);
    actor.send({ type: "BATCH_WRITTEN" });
    expect([state(), works.length]).toEqual(["writing", 1]);
    await end("write", "resolve");
    expect(state()).toBe("idle");
  });

  test("lets maintenance and commits take turns while both wait", async () => {
    const { send, end, state } = started();
    send("COMMITS_WAITING");
    send("COMMITS_WAITING");
    send("MAINTENANCE_WAITING");
    await end("write", "resolve");
    expect(state()).toBe("maintaining");
    send("MAINTENANCE_WAITING");
    await end("maintain", "resolve");
    expect(state()).toBe("writing");
    await end("write", "resolve");
    expect(state()).toBe("maintaining");
    await end("maintain", "resolve");
    expect(state()).toBe("idle");
  });

  test("announces the batch in doubt only after the store is open again", async () => {
    const { send, end, clock, done, state } = started();
    send("COMMITS_WAITING");
    await end("write", "reject");
    expect([state(), done]).toEqual(["inDoubt", ["logInDoubt"]]);
    await clock.advance(10);
    expect([state(), done]).toEqual(["reopening", ["logInDoubt"]]);
    await end("reopen", "resolve");
    expect([state(), done]).toEqual(["idle", ["logInDoubt", "announceRecovered"]]);
  });

  test("refuses commits for a while after two failed writes in a row", async () => {
    const { clock, done, state, send, end } = await inState("readOnly");
    expect(done.slice(-3)).toEqual(["announceRecovered", "refuseWaiting", "logReadOnly"]);
    await clock.advance(1_000);
    expect(state()).toBe("idle");
    send("COMMITS_WAITING");
    await end("write", "resolve");
    expect(state()).toBe("idle");
    send("COMMITS_WAITING");
    await end("write", "reject");
    await clock.advance(10);
    await end("reopen", "resolve");
    expect(state()).toBe("idle");
  });

  test("ends without an announcement when the store cannot be opened again", async () => {
    const { clock, done, state, end } = await inState("reopening");
    for (let attempt = 1; attempt < 5; attempt++) {
      await end("reopen", "reject");
      expect(state()).toBe("inDoubt");
      await clock.advance(10);
    }
    await end("reopen", "reject");
    expect(state()).toBe("ended");
    expect(done.at(-1)).toBe("reportFatal");
    expect(done).not.toContain("announceRecovered");
  });

  test("closes only after the current work has ended", async () => {
    for (const work of ["write", "maintain"] as const) {
      const { send, end, state, waiting } = started();
      send(work === "write" ? "COMMITS_WAITING" : "MAINTENANCE_WAITING");
      send("CLOSE");
      expect(state()).not.toBe("closed");
      waiting.commits = true;
      await end(work, "resolve");
      expect(state()).toBe("closed");
    }
    const { send, end, clock, state } = await inState("inDoubt");
    send("CLOSE");
    await clock.advance(10);
    await end("reopen", "resolve");
    expect(state()).toBe("closed");
  });

  test("writes the finishes that wait before it closes, and no maintenance", async () => {
    const { send, end, state, waiting, works } = started();
    send("COMMITS_WAITING");
    waiting.finishes = 2;
    send("MAINTENANCE_WAITING");
    send("CLOSE");
    for (let batch = 1; batch <= 3; batch++) {
      expect(works.map(({ work }) => work)).toEqual(["write"]);
      await end("write", "resolve");
    }
    expect(state()).toBe("closed");
  });
});
