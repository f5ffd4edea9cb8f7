import type { CacheNodeStats } from "../../cache.js";
import type { Value } from "../../index.js";
import type { CliCommand } from "../command.js";
import { addCacheOptions, askNodes, type CacheFlags } from "../cache-nodes.js";
import { toJson } from "../json-values.js";
import { count, duration } from "../progress.js";
import type { Surroundings } from "../surroundings.js";

/** `zooid cache stats`: contents and counters of each node. */
export function addCacheStats(parent: CliCommand, surroundings: Surroundings): void {
  const command = parent.command("stats").description("Shows contents, hit rate and bus of each node.").notes(`
"outbox" counts invalidations of the node that the bus has not accepted yet. --json prints all counters, one node a line.

Examples:
  $ zooid cache stats
  $ zooid cache stats --node A --json | jq .stats
  $ zooid cache stats --prefix shop --servers nats://10.0.0.5:4222 --wait 1s`);
  addCacheOptions(command).action(async (flags: CacheFlags) => {
    await askNodes(flags, surroundings, (node) => node.stats(), {
      columns,
      cells: (answer) => [cells(answer)],
      rows: (answer) => [{ ...answer, stats: toJson(answer.stats) }],
    });
  });
}

const columns = ["up", "tiers", "entries", "hits", "misses", "hit rate", "evictions", "tags", "outbox", "bus"];

function cells({ uptimeMs, tiers, bus, stats }: CacheNodeStats): readonly string[] {
  const number = (name: string) => (typeof stats[name] === "number" ? stats[name] : undefined);
  const shown = (name: string) => {
    const value = number(name);
    return value === undefined ? "-" : count(value);
  };
  const [hits = 0, misses = 0] = [number("hits"), number("misses")];
  const rate = hits + misses === 0 ? "-" : `${((100 * hits) / (hits + misses)).toFixed(1)} %`;
  const onDisk = isRecord(stats["disk"]) ? stats["disk"]["entries"] : undefined;
  const entries = typeof onDisk === "number" ? `${shown("entries")}, disk ${count(onDisk)}` : shown("entries");
  const counts = ["evictions", "tags", "outbox"].map(shown);
  return [duration(uptimeMs), tiers.join(", "), entries, shown("hits"), shown("misses"), rate, ...counts, busText(bus, stats)];
}

/** `nats, following at 17`. */
function busText(bus: string, stats: CacheNodeStats["stats"]): string {
  const state = stats["bus"];
  const parts: string[] = [bus];
  if (isRecord(state) && typeof state["type"] === "string") {
    const { sequence } = state;
    parts.push(typeof sequence === "number" ? `${state["type"]} at ${sequence}` : state["type"]);
  }
  if (stats["isInTouch"] === false) parts.push("out of touch");
  if (typeof stats["busTrouble"] === "string") parts.push(stats["busTrouble"]);
  return parts.join(", ");
}

function isRecord(value: Value | undefined): value is Readonly<Record<string, Value>> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
