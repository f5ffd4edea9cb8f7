import { SimulatedDisk } from "../../../testing/simulated-disk.js";
import { limits } from "../../../core/index.js";
import type { RunResult } from "../objects/run.js";
import { CacheNode } from "./cache-tenant.js";
import { type Cast, RecordFaults } from "./record-faults.js";
import { promise } from "./record-checker.js";
import { RecordWorld } from "./record-world.js";
import type { RecordedProcess } from "./recorded-process.js";
import { SimulatedHost } from "./simulated-host.js";
import { SimulatedWatcher } from "./simulated-watcher.js";
import { StoreClient, StoreServer } from "./store-tenants.js";
import { pictureOf } from "./truth.js";
import { Users } from "./users.js";

/** Simulated time in ms of one storm, about, and the chance of a second one. */
const stormMs = 3_500;
const secondChance = 0.35;
/** Within this time after a storm every watcher shows every process: a pause, the silence until a loss, a renewal. */
const settleMs =
  limits.recordPauseMs + limits.recordLostMs + limits.actorLeaseRenewalMs + 2 * limits.recordSnapshotGapMs + 2 * limits.recordFactsMs;
/** Within this time users and their actors come to rest; then facts are read once more, and all frames arrive. */
const restMs = 20_000;
const steadyMs = 2 * limits.recordFactsMs + 4 * limits.recordFrameMs;
/** One run of so many has the machines of a store, one has nodes of a cache, and one has many actors. */
const storeOf = 20;
const cacheOf = 20;
const crowdOf = 20;

/** One run, decided by `seed` alone: storms, and moments of rest at which the models must equal the actors. */
export async function simulateRecord(seed: number, trace?: (line: string) => void): Promise<RunResult> {
  const world = new RecordWorld(seed, trace);
  const { checker, clock } = world;
  const cast = castOf(world);
  const faults = new RecordFaults(world, cast);
  const onRejection = (error: unknown): void => {
    checker.violated(13, "every promise that rejects has a handler", { error: error instanceof Error ? error.stack : String(error) });
  };
  process.on("unhandledRejection", onRejection);
  process.on("uncaughtException", onRejection);
  const { stackTraceLimit } = Error;
  // Errors are frequent here, and their stacks cost more than the errors.
  if (trace === undefined) Error.stackTraceLimit = 0;
  try {
    const random = world.random();
    for (const host of cast.hosts) if (host !== cast.servers[1]) host.open();
    for (const watcher of cast.watchers) if (random.fraction() < 0.5) watcher.open();
    const rounds = random.fraction() < secondChance ? 2 : 1;
    for (let round = 0; round < rounds && !world.isViolated; round++) {
      world.isCalm = false;
      void faults.run();
      await world.holdsWithin(() => false, stormMs * (0.5 + random.fraction()));
      if (world.isViolated) break;
      faults.end();
      world.isCalm = true;
      await rest(world, cast);
    }
    if (!world.isViolated) await checkUnwatched(world, cast);
    await checkFiles(world);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
    process.off("unhandledRejection", onRejection);
    process.off("uncaughtException", onRejection);
    for (const host of cast.hosts) host.kill();
  }
  const violation = checker.violations[0];
  if (violation !== undefined) world.note("world", violation.message);
  return { seed, violation, simulatedMs: clock.monotonic(), counts: checker.counts };
}

function castOf(world: RecordWorld): Cast {
  const random = world.random();
  const isOfStore = world.seed % storeOf === 10;
  const hasCrowd = world.seed % crowdOf === 1;
  const disk = new SimulatedDisk({ name: "disk", clock: world.clock, random: world.random() });
  const hosts: SimulatedHost[] = [];
  const add = (...args: ConstructorParameters<typeof SimulatedHost>) => {
    const host = new SimulatedHost(...args);
    hosts.push(host);
    return host;
  };
  const users = isOfStore ? 1 : 1 + Math.floor(random.fraction() * 2);
  for (let index = 0; index < users; index++) add(world, `h${index}`, (place) => new Users(place, { hasCrowd: hasCrowd && index === 0 }));
  const servers: SimulatedHost[] = [];
  if (isOfStore) {
    for (const name of ["s1", "s2"]) servers.push(add(world, name, (place) => new StoreServer(world, disk, place)));
    for (const name of ["c1", "c2"]) add(world, name, (place) => new StoreClient(world, place));
  }
  if (world.seed % cacheOf === 5) for (const name of ["n1", "n2"]) add(world, name, (place) => new CacheNode(world, place));
  const watchers = Array.from({ length: 1 + Math.floor(random.fraction() * 3) }, (_, index) => new SimulatedWatcher(world, `w${index}`));
  return { hosts, watchers, servers };
}

function processesOf({ hosts }: Cast): readonly RecordedProcess[] {
  return hosts.flatMap(({ process }) => process ?? []);
}

/** Lets everything come to rest, and compares. */
async function rest(world: RecordWorld, cast: Cast): Promise<void> {
  const { checker } = world;
  const isLevel = () =>
    processesOf(cast).every(
      (process) =>
        process.roots.size === 0 ||
        cast.watchers.every(({ model }) => process.instance !== undefined && model?.instances.get(process.instance)?.state === "live"),
    ) && cast.hosts.every(({ clock }) => clock?.isHeldUp !== true);
  // A watcher finds out late that an instance has become silent.
  await world.holdsWithin(() => false, limits.recordLostMs + limits.actorLeaseRenewalMs + 2 * limits.recordFactsMs);
  if (!(await world.holdsWithin(isLevel, settleMs)) && !world.isViolated) {
    checker.violated(promise, "once faults stop, every watcher shows every instance", { states: statesOf(cast) });
  }
  world.isQuiet = true;
  await world.holdsWithin(() => false, steadyMs);
  const picture = () => JSON.stringify(processesOf(cast).map(({ roots }) => pictureOf(roots, { hasFacts: false })));
  for (let waited = 0; waited < restMs && !world.isViolated; waited += steadyMs) {
    const before = picture();
    await world.holdsWithin(() => false, steadyMs);
    if (picture() === before) break;
  }
  if (!world.isViolated) compareAll(world, cast);
  world.isQuiet = false;
}

function compareAll(world: RecordWorld, cast: Cast): void {
  const { checker } = world;
  for (const { process, tenant } of cast.hosts) {
    if (process === undefined || tenant === undefined) continue;
    const hasFacts = tenant.hasSteadyFacts;
    if (process.roots.size > 0)
      for (const { name, model } of cast.watchers) if (model !== undefined) checker.quiet(name, model, process, { hasFacts });
  }
}

/** All watchers go. Once their leases have ended, the record costs nothing. Then one comes back. */
async function checkUnwatched(world: RecordWorld, cast: Cast): Promise<void> {
  const { checker } = world;
  for (const [index, watcher] of cast.watchers.entries()) {
    if (index % 2 === 0) watcher.kill();
    else watcher.leave();
  }
  await world.holdsWithin(() => false, limits.actorLeaseMs + 2 * limits.recordFactsMs);
  const before = new Map(processesOf(cast).map((process) => [process, process.frames]));
  await world.holdsWithin(() => false, 1_000);
  for (const [process, frames] of before) checker.unwatched(process, frames);
  const [watcher] = cast.watchers;
  watcher?.open();
  if (world.isViolated || watcher === undefined) return;
  await rest(world, { ...cast, watchers: [watcher] });
  watcher.leave();
}

/** Reads the recordings of the run as files. */
async function checkFiles(world: RecordWorld): Promise<void> {
  const { recorded, checker } = world;
  const random = world.random();
  for (const life of recorded) {
    if (world.isViolated) return;
    checker.counts.files++;
    const fault = await life.faultIn(random);
    if (fault !== undefined) checker.violated(promise, fault, { watcher: life.watcher });
  }
}

function statesOf(cast: Cast): Readonly<Record<string, unknown>> {
  const states = cast.watchers.map(({ name, model }) => [
    name,
    Array.from(model?.instances.values() ?? [], ({ instance, state }) => `${instance} ${state}`),
  ]);
  return { ...Object.fromEntries(states), hosts: processesOf(cast).map(({ instance, isRecording }) => ({ instance, isRecording })) };
}
