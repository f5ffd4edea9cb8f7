import { SimulatedClient } from "./simulated-client.js";
import { Faults } from "./faults.js";
import { becomesLevel, checkHungTransaction } from "../common/liveness.js";
import { SimulatedServer } from "./simulated-server.js";
import type { Violation } from "../common/violation.js";
import { World } from "./world.js";

/**
 * Simulated time in ms: with faults; then until all wall clocks are set right, at most; then for the checks at the end,
 * at most.
 */
const stormMs = 4_000;
const clocksMs = 15_000;
const diskCheckMs = 1_000;
const lookMs = 20_000;

export interface RunResult {
  readonly seed: number;
  /** The first promise that did not hold. */
  readonly violation: Violation | undefined;
  readonly simulatedMs: number;
  readonly counts: Readonly<Record<string, number>>;
}

/** One run, decided by `seed` alone: safety while faults go on, then liveness once they stop. */
export function simulate(seed: number, trace?: (line: string) => void): Promise<RunResult> {
  return run({ seed, trace, hasCallers: false, mirrors: 0 });
}

/** As `simulate`, with watchers in each client that keep copies current. */
export function simulateWatchers(seed: number, trace?: (line: string) => void): Promise<RunResult> {
  return run({ seed, trace, hasCallers: false, mirrors: 2 });
}

/** As `simulate`, with users that call cached functions which read the store, and do little else. */
export function simulateCoherence(seed: number, trace?: (line: string) => void): Promise<RunResult> {
  return run({ seed, trace, hasCallers: true, mirrors: 0 });
}

interface RunOptions {
  readonly seed: number;
  readonly trace: ((line: string) => void) | undefined;
  readonly hasCallers: boolean;
  readonly mirrors: number;
}

async function run({ seed, trace, hasCallers, mirrors }: RunOptions): Promise<RunResult> {
  const world = new World(seed, trace);
  const { clock, checker } = world;
  const random = world.random();
  const server = new SimulatedServer(world);
  const clients = ["c1", "c2", "c3"].map(
    (name, index) =>
      new SimulatedClient(world, name, {
        isPersistent: index < 2,
        onOtherHistory: random.fraction() < 0.6 ? "discard" : "refuse",
        cacheBytesMax: random.fraction() < 0.4 ? 600 : 1_000_000,
        memoryBytesMax: random.fraction() < 0.5 ? 600 : 1_000_000,
        users: hasCallers ? 1 : 1 + Math.floor(random.fraction() * 2),
        callers: hasCallers ? 2 + Math.floor(random.fraction() * 2) : 0,
        isReadOnly: index === 2 && random.fraction() < 0.2,
        watches: random.fraction() < 0.6,
        mirrors,
      }),
  );
  const faults = new Faults(world, server, clients, { stalls: hasCallers });
  const onRejection = (error: unknown): void => {
    checker.violated(13, "every promise that rejects has a handler", { error: error instanceof Error ? error.stack : String(error) });
  };
  process.on("unhandledRejection", onRejection);
  process.on("uncaughtException", onRejection);
  const { stackTraceLimit } = Error;
  // Errors are frequent here, and their stacks cost more than the errors. The replay of a violation has the stacks in
  // its trace.
  if (trace === undefined) Error.stackTraceLimit = 0;
  try {
    server.start();
    for (const client of clients) client.open();
    void faults.run();
    await world.holdsWithin(() => false, stormMs);
    if (!world.isViolated) {
      faults.end();
      world.isCalm = true;
      const calmAt = clock.monotonic();
      const inTime = await becomesLevel(world, server, clients);
      if (!inTime && !world.isViolated)
        checker.violated(5, "once faults stop, every client reaches the server's last tid and can write", levels(world, server, clients));
      world.note("world", `level after ${(clock.monotonic() - calmAt).toFixed(0)} ms`);
      if (!world.isViolated) await checkHungTransaction(world, clients);
      if (faults.hasJumps && !world.isViolated) {
        await world.holdsWithin(() => !faults.isSettingClocks, clocksMs);
        await server.checkRetention();
      }
      for (const client of clients) client.checkWatch();
      const areMirrorsLevel =
        world.isViolated || (await world.holdsWithin(() => clients.every((client) => client.areMirrorsLevel), lookMs));
      if (!areMirrorsLevel && !world.isViolated)
        checker.violated(5, "once faults stop, every watcher handles all changes", levels(world, server, clients));
      if (hasCallers && !world.isViolated) await lookAtAll(world, clients);
      for (const client of clients) await checkDisk(world, client);
    }
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
    process.off("unhandledRejection", onRejection);
    process.off("uncaughtException", onRejection);
    for (const client of clients) client.abandon();
  }
  const violation = checker.violations[0];
  if (violation !== undefined) world.note("world", violation.message);
  return {
    seed,
    violation,
    simulatedMs: clock.monotonic(),
    counts: { ...checker.counts, ...(hasCallers ? world.coherence.counts : {}), transactions: checker.history.head.depth },
  };
}

async function lookAtAll(world: World, clients: readonly SimulatedClient[]): Promise<void> {
  let isDone = false;
  void Promise.all(clients.map((client) => client.checkCalls())).then(() => (isDone = true));
  await world.holdsWithin(() => isDone, lookMs);
  if (!isDone && !world.isViolated) world.checker.violated(12, "every call is over in time", {});
}

async function checkDisk(world: World, client: SimulatedClient): Promise<void> {
  let isDone = false;
  const done = client.checkDisk().then(() => (isDone = true));
  await world.holdsWithin(() => isDone, diskCheckMs);
  if (isDone) await done;
  else if (!world.isViolated) world.checker.violated(13, "a cache on disk can be opened", { client: client.name });
}

function levels(world: World, server: SimulatedServer, clients: readonly SimulatedClient[]) {
  return {
    server: { isServing: server.isServing, tid: world.checker.history.head.tid },
    clients: clients.map(({ name, client }) => ({ name, state: client?.state, tid: client?.position.tid })),
  };
}
