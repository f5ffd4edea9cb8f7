import type { Command } from "commander";
import type { Surroundings } from "../surroundings.js";
import { addCacheKeys } from "./cache-keys.js";
import { addCacheClear, addCacheInvalidate, addCachePrune } from "./cache-steering.js";
import { addCacheStats } from "./cache-stats.js";
import { addCacheTags } from "./cache-tags.js";

/** `zooid cache …`: the nodes of a semantic cache. */
export function addCache(program: Command, surroundings: Surroundings): void {
  const command = program
    .command("cache")
    .description("Shows what the nodes of a semantic cache hold, and steers them: all, or one of them.")
    .addHelpText(
      "after",
      `
A node answers when its cache has a bus over NATS or over the port of \`npm start\`, unless its option endpoint is false. Its name is the
option node.

Examples:
  $ zooid cache stats                        every node: entries, hits, its bus
  $ zooid cache keys --node A                the results that node A keeps
  $ zooid cache invalidate cities:DE         what depends on it, at all nodes`,
    );
  for (const add of [addCacheStats, addCacheKeys, addCacheTags, addCacheInvalidate, addCacheClear, addCachePrune])
    add(command, surroundings);
}
