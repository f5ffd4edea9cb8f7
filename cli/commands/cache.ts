import type { Surroundings } from "../surroundings.js";
import { addCacheKeys } from "./cache-keys.js";
import { addCacheClear, addCacheInvalidate, addCachePrune } from "./cache-steering.js";
import { addCacheStats } from "./cache-stats.js";
import { addCacheTags } from "./cache-tags.js";

/** `zooid cache …`: the nodes of a semantic cache. */
export function addCache(program: CliCommand, surroundings: Surroundings): void {
  const command = program.command("cache").description("Shows and controls the nodes of a semantic cache: all of them, or one.").notes(`
A node answers if its cache has a bus over NATS or over the port of \`npm start\`, and its option "endpoint" is not false. Its option
"node" is its name.

Examples:
  $ zooid cache stats                        every node: entries, hits, its bus
  $ zooid cache keys --node A                the results that node A keeps
  $ zooid cache invalidate cities:DE         makes dependent results stale, at all nodes`);
  for (const add of [addCacheStats, addCacheKeys, addCacheTags, addCacheInvalidate, addCacheClear, addCachePrune])
    add(command, surroundings);
}
import type { CliCommand } from "../command.js";
