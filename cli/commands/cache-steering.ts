import type { CacheNode } from "../../cache.js";
import type { CliCommand } from "../command.js";
import { addCacheOptions, askNodes, type CacheFlags } from "../cache-nodes.js";
import { option, parseDuration } from "../parsing.js";
import { count } from "../progress.js";
import type { Surroundings } from "../surroundings.js";

/** Help text about the outcomes of an invalidation. */
const outcomes = `
Each node carries it out at once, and publishes it to the other nodes over the bus ("published"). "queued": the bus has not accepted it
yet, and the node keeps trying.`;

/** `zooid cache invalidate <tag…>`: makes results stale that depend on a tag, or on one below it. */
export function addCacheInvalidate(parent: CliCommand, surroundings: Surroundings): void {
  const command = parent
    .command("invalidate")
    .description("Invalidates tags: results that depend on one of them, or on a tag below it, become stale.")
    .argument("<tag...>", "tags, as a:b:c").notes(`${outcomes}

Examples:
  $ zooid cache invalidate cities:DE
  $ zooid cache invalidate cities layout --prefix shop
  $ zooid cache invalidate cities:DE --node A`);
  addCacheOptions(command).action(async (tags: string[], flags: CacheFlags) => {
    await steer(flags, surroundings, ["outcome"], async (node) => ({ outcome: await node.invalidate(tags) }));
  });
}

/** `zooid cache clear`: makes all results stale. */
export function addCacheClear(parent: CliCommand, surroundings: Surroundings): void {
  const command = parent.command("clear").description("Makes all results stale, at all nodes. The next calls compute them again.")
    .notes(`${outcomes}

Examples:
  $ zooid cache clear
  $ zooid cache clear --prefix shop --json`);
  addCacheOptions(command).action(async (flags: CacheFlags) => {
    await steer(flags, surroundings, ["outcome"], async (node) => ({ outcome: await node.clear() }));
  });
}

interface PruneFlags extends CacheFlags {
  readonly unused?: number;
}

/** `zooid cache prune`: removes stale and expired results, and unused tags. */
export function addCachePrune(parent: CliCommand, surroundings: Surroundings): void {
  const command = parent
    .command("prune")
    .description("Removes stale and expired results, and tags that have been unused for long.")
    .addOption(
      option(
        "--unused <duration>",
        "ZOOID_UNUSED",
        "forget tags that are unused this long (default: as each node is configured)",
      ).argParser(parseDuration),
    ).notes(`
It makes no result stale. Nodes also do it by themselves, in small steps.

Examples:
  $ zooid cache prune
  $ zooid cache prune --unused 10m --node A`);
  addCacheOptions(command).action(async (flags: PruneFlags) => {
    await steer(flags, surroundings, ["entries", "tags"], (node) => node.prune(flags.unused));
  });
}

/** Runs `act` at every node, and shows the outcomes. */
async function steer(
  flags: CacheFlags,
  surroundings: Surroundings,
  columns: readonly string[],
  act: (node: CacheNode) => Promise<object>,
): Promise<void> {
  await askNodes(flags, surroundings, act, {
    columns,
    cells: (answer) => [Object.values(answer).map(shown)],
    rows: (answer) => [answer],
  });
}

function shown(value: unknown): string {
  return typeof value === "number" ? count(value) : String(value);
}
