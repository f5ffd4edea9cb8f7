import { play } from "../cache/cache-run.js";
import { timings } from "../cache/cache-world.js";
import type { SimulatedNode } from "../cache/simulated-node.js";
import type { RunResult } from "../objects/run.js";
import { PlainFaults } from "./plain-faults.js";
import { PlainWorld } from "./plain-world.js";

/** So long after all nodes follow, each has heard all others and removed those that are gone. */
const settleMs = timings.heartbeatTimeoutMs + 3 * timings.heartbeatIntervalMs;

/**
 * One run of the semantic cache over plain NATS, decided by `seed` alone: safety while faults go on, then liveness once
 * they stop.
 */
export function simulatePlain(seed: number, trace?: (line: string) => void): Promise<RunResult> {
  const world = new PlainWorld(seed, trace);
  let levelSinceMs = Infinity;
  const isLevel = (nodes: readonly SimulatedNode[]) => {
    const nowMs = world.clock.monotonic();
    const areAll = nodes.every(({ running }) => running?.bus.state.type === "following" && running.core.intake.waiting === 0);
    levelSinceMs = areAll ? Math.min(levelSinceMs, nowMs) : Infinity;
    return nowMs - levelSinceMs >= settleMs;
  };
  return play({
    world,
    tierFor: (dice) => (dice < 0.7 ? "memory" : "disk"),
    faultsFor: (nodes) => new PlainFaults(world, nodes),
    isLevel,
  });
}
