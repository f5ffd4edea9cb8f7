import type { RunResult } from "../objects/run.js";
import { type CacheWorld, timings } from "./cache-world.js";
import { createdOf, isUnder } from "./cache-checker.js";
import { tagOf } from "./database.js";
import { JetStreamFaults } from "./jetstream-faults.js";
import { JetStreamWorld, streamName } from "./jetstream-world.js";
import type { NodeFaults } from "./node-faults.js";
import { type NodeTraits, SimulatedNode } from "./simulated-node.js";
import { User } from "./user.js";

/** Simulated time with faults, in ms. */
const stormMsMin = 1_000;
const stormMsMax = 3_500;
/** Users go on for this time in ms, without faults, before a lull. */
const beforeLullMs = 400;
/** In the end, in ms: until all nodes follow, at most; then for the last calls, at most. */
const calmMs = 20_000;
const lookMs = 20_000;

/**
 * One run of the semantic cache over JetStream, decided by `seed` alone: safety while faults go on, then liveness once
 * they stop.
 */
export function simulateCache(seed: number, trace?: (line: string) => void): Promise<RunResult> {
  const world = new JetStreamWorld(seed, trace);
  const isLevel = (nodes: readonly SimulatedNode[]) => followTheStream(world, nodes);
  return play({ world, tierFor, faultsFor: (nodes) => new JetStreamFaults(world, nodes), isLevel });
}

/** The parts of a run of the cache that depend on its bus. */
export interface CacheRun {
  readonly world: CacheWorld;
  /** The tier of a node; `dice` in [0, 1) decides. */
  readonly tierFor: (dice: number) => NodeTraits["tier"];
  readonly faultsFor: (nodes: readonly SimulatedNode[]) => NodeFaults;
  /** Whether every node follows its bus and has received all messages. */
  readonly isLevel: (nodes: readonly SimulatedNode[]) => boolean;
}

/** Plays `run`: users with faults for a while, then without faults; then checks the results of all nodes. */
export async function play({ world, tierFor, faultsFor, isLevel }: CacheRun): Promise<RunResult> {
  const { clock, checker, trace } = world;
  const random = world.random();
  const count = 2 + Math.floor(random.fraction() * 3);
  const nodes = Array.from(
    { length: count },
    (_, index) =>
      new SimulatedNode(world, `n${index + 1}`, {
        tier: tierFor(random.fraction()),
        maxEntries: random.fraction() < 0.3 ? 6 : undefined,
        users: 1 + Math.floor(random.fraction() * 2),
        skewMs: random.fraction() < 0.3 ? 0 : (random.fraction() - 0.5) * 14_400_000,
        rate: random.fraction() < 0.5 ? 1 : 0.99 + random.fraction() * 0.02,
      }),
  );
  const faults = faultsFor(nodes);
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
    for (const node of nodes) node.open();
    void faults.run();
    const length = faults.isSlow ? 1 : random.fraction() ** 3;
    await world.holdsWithin(() => false, stormMsMin + length * (stormMsMax - stormMsMin));
    if (!world.isViolated && world.lullMs > 0) {
      faults.lull(beforeLullMs, world.lullMs);
      await world.holdsWithin(() => false, beforeLullMs);
      world.isLull = true;
      await world.holdsWithin(() => false, world.lullMs);
      world.isLull = false;
    }
    if (!world.isViolated) {
      faults.end();
      world.isCalm = true;
      const calmAt = clock.monotonic();
      const inTime = await world.holdsWithin(() => isLevel(nodes), calmMs);
      if (!inTime && !world.isViolated)
        checker.violated(11, "once faults stop, every node follows and every outbox is empty", levels(nodes));
      world.note("world", `level after ${(clock.monotonic() - calmAt).toFixed(0)} ms`);
      checker.checkOpen();
      if (!world.isViolated) await lookAtAll(world, nodes);
    }
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
    process.off("unhandledRejection", onRejection);
    process.off("uncaughtException", onRejection);
    for (const node of nodes) node.abandon();
  }
  const violation = checker.violations[0];
  if (violation !== undefined) world.note("world", violation.message);
  return { seed: world.seed, violation, simulatedMs: clock.monotonic(), counts: world.counts };
}

const tierFor = (dice: number) => (dice < 0.3 ? "memory" : dice < 0.6 ? "disk" : "bucket");

/**
 * Whether all nodes follow the stream to its end and have an empty outbox. Sequences of an end that the stream has lost
 * do not count.
 */
function followTheStream({ jetStream, checker }: JetStreamWorld, nodes: readonly SimulatedNode[]): boolean {
  const last = jetStream.stream(streamName)?.lastSequence;
  return nodes.every(({ running }) => {
    const state = running?.bus.state;
    if (running === undefined || last === undefined || state?.type !== "following" || state.sequence !== last) return false;
    return checker.hasReported(running.life, createdOf(state.epoch), last) && running.core.intake.waiting === 0;
  });
}

function levels(nodes: readonly SimulatedNode[]) {
  return {
    nodes: nodes.map(({ name, running }) => ({ name, state: running?.bus.state, outbox: running?.core.intake.waiting })),
  };
}

/**
 * Checks that no node serves a result older than the last invalidation of its tags, or another version of a row than
 * the current one.
 */
async function lookAtAll(world: CacheWorld, nodes: readonly SimulatedNode[]): Promise<void> {
  const { checker, database } = world;
  const looks = nodes.map(async (node) => {
    const { running } = node;
    if (running === undefined) return;
    const floors = checker.finalFloors(running.life);
    for (const [tag, moment] of floors) running.life.floors.set(tag, Math.max(moment, running.life.floors.get(tag) ?? 0));
    for (const [what, { rows }] of await new User(world, node, running, world.random()).lookAtAll()) {
      for (const [name, version] of Object.entries(rows)) {
        const { version: latest, changed } = database.row(name);
        const isInvalidated = [...floors].some(([tag, moment]) => moment > changed && isUnder(tagOf(name), tag));
        if (isInvalidated && version !== latest) {
          checker.violated(11, "in the end every node serves the current rows", { node: node.name, what, name, version, latest });
        }
      }
    }
  });
  let isDone = false;
  void Promise.all(looks).then(() => (isDone = true));
  await world.holdsWithin(() => isDone, lookMs);
  if (!isDone && !world.isViolated) checker.violated(12, "every call is over in time", { timings });
}
