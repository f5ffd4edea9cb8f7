/** A server whose wall clock is wrong or is set: effects on tids, and on the ages that are measured in tids. */
import { afterEach, describe, expect, test } from "vitest";
import type { ObjectClient } from "../../../actors/client/object-client.js";
import type { StorageServer } from "../../../actors/server/server.js";
import { BootClock } from "../../../core/boot-clock.js";
import { type Clock, type Tid, tidToMs } from "../../../core/index.js";
import type { SimulatedClock } from "../../../testing/simulated-clock.js";
import { clientWorld, type ClientWorld } from "../../support/client-world.js";
import type { WorldOptions } from "../../support/server-world.js";
import { keptLog } from "../../suites/client-cache.js";

const hourMs = 3_600_000;
const fiveYearsMs = 5 * 365 * 24 * hourMs;
const worlds: ClientWorld[] = [];

async function world(options?: WorldOptions): Promise<ClientWorld> {
  const made = await clientWorld(options);
  worlds.push(made);
  return made;
}

afterEach(() => {
  for (const each of worlds.splice(0)) each.end();
});

/** Short ages, and frequent sweeps. */
const short: WorldOptions = {
  storage: { historyAgeMs: 2_000, snapshotRetentionMs: 1_000, outcomeAgeMs: 2_000 },
  pruningIntervalMs: 500,
};

/** Commits every 100 ms during the next `ms`; resolves to the last tid. */
async function commitFor({ clock, run }: ClientWorld, client: ObjectClient, ms: number): Promise<Tid> {
  let tid = await run(client.put("x", 0));
  for (let passedMs = 0; passedMs < ms; passedMs += 100) {
    await clock.advance(100);
    tid = await run(client.put("x", passedMs));
  }
  return tid;
}

describe("a wall clock that jumps five years ahead while the server runs", () => {
  test("does not enter tids and is logged once, and so is the jump back", async () => {
    const { log, lines } = keptLog();
    const made = await world({ ...short, log });
    const { client } = await made.open("a");
    const before = await commitFor(made, client, 1_000);
    made.clock.shiftWall(fiveYearsMs);
    const during = await commitFor(made, client, 1_000);
    expect(Math.abs(tidToMs(during) - tidToMs(before) - 1_000)).toBeLessThan(200);
    made.clock.shiftWall(-fiveYearsMs);
    const after = await commitFor(made, client, 1_000);
    expect(Math.abs(tidToMs(after) - made.clock.now())).toBeLessThan(200);
    const jump = "the wall clock jumped: tids continue by the monotonic clock";
    expect(lines.filter((line) => line === jump)).toHaveLength(2);
  });

  test("makes no history old and forgets no outcome", async () => {
    const made = await world({ ...short, storage: { historyAgeMs: hourMs, outcomeAgeMs: hourMs, snapshotRetentionMs: hourMs } });
    const { client } = await made.open("a");
    const first = await made.run(client.put("y", 1));
    await commitFor(made, client, 1_000);
    made.clock.shiftWall(fiveYearsMs);
    await commitFor(made, client, 1_000);
    const status = made.server.status("main");
    expect(status.historyFloor).toBeLessThanOrEqual(first);
    expect(status.outcomes).toBe(23);
  });
});

/** The clock of a system that can sleep: meanwhile no timer fires, and Node's monotonic clock stands still. */
class SleepingClock implements Clock {
  readonly #awake: SimulatedClock;
  readonly #boot: BootClock;
  #sleptMs = 0;

  constructor(awake: SimulatedClock) {
    this.#awake = awake;
    this.#boot = new BootClock({
      monotonic: () => awake.monotonic(),
      wall: () => this.now(),
      // Some systems give the uptime in whole seconds.
      uptime: () => Math.floor((awake.monotonic() + this.#sleptMs) / 1_000) * 1_000,
    });
  }

  sleep(ms: number): void {
    this.#sleptMs += ms;
  }

  now(): number {
    return this.#awake.now() + this.#sleptMs;
  }

  monotonic(): number {
    return this.#boot.now();
  }

  setTimeout(action: () => void, delayMs: number): unknown {
    return this.#awake.setTimeout(action, delayMs);
  }

  clearTimeout(timer: unknown): void {
    this.#awake.clearTimeout(timer);
  }
}

describe("a wall clock that is 8 hours later at the next commit, which the boot clock explains: tids follow it, and no line is logged", () => {
  test.each(["the server rested", "the system slept"])("%s", async (why) => {
    const { log, lines } = keptLog();
    const clocks: SleepingClock[] = [];
    const serverClock = (clock: SimulatedClock): Clock => {
      const made = new SleepingClock(clock);
      clocks.push(made);
      return made;
    };
    const made = await world({ log, serverClock });
    const [clock] = clocks;
    if (clock === undefined) throw new Error("the server has no clock");
    const { client } = await made.open("a");
    const before = await commitFor(made, client, 1_000);
    if (why === "the system slept") clock.sleep(8 * hourMs);
    else await made.clock.advance(8 * hourMs);
    const after = await commitFor(made, client, 1_000);
    expect(Math.abs(tidToMs(after) - clock.now())).toBeLessThan(200);
    expect(Math.abs(tidToMs(after) - tidToMs(before) - 8 * hourMs - 1_000)).toBeLessThan(2_000);
    expect(made.server.status("main").tidsAheadMs).toBe(0);
    expect(lines).toEqual([]);
  });
});

/** Starts the server while its clock is `aheadMs` ahead. After one commit the clock is set right. */
async function startedAhead(
  aheadMs: number,
  options: WorldOptions,
): Promise<{ made: ClientWorld; client: ObjectClient; server: StorageServer }> {
  const made = await world(options);
  made.clock.shiftWall(aheadMs);
  await made.run(made.server.close());
  const server = await made.restart();
  const { client } = await made.open("a");
  await made.run(client.put("x", "of a wrong clock"));
  made.clock.shiftWall(-aheadMs);
  return { made, client, server };
}

describe("a server that starts with its wall clock five years ahead, and commits before the clock is set right", () => {
  test("goes on to prune history and to forget outcomes in real time", async () => {
    const { made, client, server } = await startedAhead(fiveYearsMs, short);
    const before = await commitFor(made, client, 5_000);
    const status = server.status("main");
    expect(tidToMs(status.position.tid) - tidToMs(status.historyFloor)).toBeLessThan(4_000);
    expect(status.outcomes).toBeLessThan(30);
    const after = await commitFor(made, client, 5_000);
    expect(Math.abs(tidToMs(after) - tidToMs(before) - 5_000)).toBeLessThan(200);
  });

  test("does so after the next start too, with the time that it was down", async () => {
    const { made, client, server: first } = await startedAhead(fiveYearsMs, short);
    const before = await commitFor(made, client, 1_000);
    await made.run(first.close());
    const { log, lines } = keptLog();
    await made.clock.advance(10_000);
    const server = await made.restart({ ...short, log });
    expect(lines).toContain("the last tid is ahead of the wall clock: tids continue after it");
    const { client: another } = await made.open("b");
    const after = await commitFor(made, another, 5_000);
    expect(Math.abs(tidToMs(after) - tidToMs(before) - 15_000)).toBeLessThan(400);
    const status = server.status("main");
    expect(tidToMs(status.position.tid) - tidToMs(status.historyFloor)).toBeLessThan(4_000);
    expect(Math.abs(status.tidsAheadMs - fiveYearsMs)).toBeLessThan(1_000);
  });
});

describe("the line that a start logs about the wall clock", () => {
  /** Starts the server again after `ms` on the wall clock, and commits. */
  async function startedAfter(made: ClientWorld, ms: number) {
    await made.run(made.server.close());
    made.clock.shiftWall(ms);
    const { log, lines } = keptLog();
    const infos: object[] = [];
    const follows = "tids follow the wall clock, which has gone on since the last transaction";
    const info = (facts: object, message: string): void => void (message === follows && infos.push(facts));
    await made.restart({ log: { ...log, info } });
    const { client } = await made.open("b");
    const tid = await made.run(client.put("x", "after the start"));
    return { tid, lines, infos };
  }

  test.each([fiveYearsMs, 2 * hourMs])("says by how much it is later than the last transaction: %d ms", async (ms) => {
    const made = await world();
    const { client } = await made.open("a");
    const last = await made.run(client.put("x", 1));
    const { tid, lines, infos } = await startedAfter(made, ms);
    expect(infos).toEqual([{ storage: "main", tid: last, passedMs: expect.closeTo(ms, -3) as number }]);
    expect(lines).toEqual([]);
    expect(Math.abs(tidToMs(tid) - made.clock.now())).toBeLessThan(200);
  });

  test("says that tids follow it again, when they did not follow its jump in the run before", async () => {
    const made = await world();
    const { client } = await made.open("a");
    await commitFor(made, client, 200);
    made.clock.shiftWall(fiveYearsMs);
    await commitFor(made, client, 200);
    const { tid, lines, infos } = await startedAfter(made, 1_000);
    expect({ lines, infos }).toEqual({ lines: ["tids follow the wall clock again, which had jumped ahead of them"], infos: [] });
    expect(Math.abs(tidToMs(tid) - made.clock.now())).toBeLessThan(200);
  });

  test("is missing for a new storage", async () => {
    const made = await world();
    const unused = await startedAfter(made, fiveYearsMs);
    expect([...unused.lines, ...unused.infos]).toEqual([]);
  });

  test.each([0.9 * hourMs, -0.9 * hourMs])("is missing when it is within an hour of the last transaction: %d ms", async (ms) => {
    const made = await world();
    const { client } = await made.open("a");
    await made.run(client.put("x", 1));
    const { lines, infos } = await startedAfter(made, ms);
    expect([...lines, ...infos]).toEqual([]);
  });
});

test.each([Date.UTC(2300, 0, 1), -hourMs])("a commit while the clock says %d ms is ClockError, and the server goes on", async (wallMs) => {
  const made = await world();
  const { client } = await made.open("a");
  const rightMs = made.clock.now();
  made.clock.shiftWall(wallMs - rightMs);
  await expect(made.run(client.put("x", 1))).rejects.toMatchObject({ code: "ZOOID_CLOCK" });
  await expect(made.run(client.transact((tx) => tx.put("x", 1)))).rejects.toMatchObject({ code: "ZOOID_CLOCK" });
  expect(made.server.status("main")).toMatchObject({ readOnly: false, position: { tid: 0 }, openTransactions: [] });
  made.clock.shiftWall(rightMs - wallMs);
  const tid = await made.run(client.put("x", 2));
  expect(Math.abs(tidToMs(tid) - made.clock.now())).toBeLessThan(1_000);
  expect(await made.run(client.get("x"))).toBe(2);
});

test("a wall clock that is repeatedly set back by less than an hour delays the ageing of history by no more than an hour", async () => {
  const made = await world(short);
  const { client } = await made.open("a");
  let last = await commitFor(made, client, 1_000);
  for (let times = 0; times < 3; times++) {
    made.clock.shiftWall(-0.9 * hourMs);
    last = await commitFor(made, client, 1_000);
  }
  // An hour passes at once, in two steps that are small enough to be followed.
  for (let steps = 0; steps < 2; steps++) {
    made.clock.shiftWall(0.55 * hourMs);
    last = await commitFor(made, client, 1_000);
  }
  const after = await commitFor(made, client, 5_000);
  expect(Math.abs(tidToMs(after) - tidToMs(last) - 5_000)).toBeLessThan(200);
  const status = made.server.status("main");
  expect(tidToMs(status.position.tid) - tidToMs(status.historyFloor)).toBeLessThan(4_000);
});

test("a wall clock that is set by up to an hour is followed", async () => {
  const made = await world();
  const { client } = await made.open("a");
  await made.run(client.put("x", 1));
  made.clock.shiftWall(hourMs - 1_000);
  const tid = await made.run(client.put("x", 2));
  expect(Math.abs(tidToMs(tid) - made.clock.now())).toBeLessThan(1_000);
});
