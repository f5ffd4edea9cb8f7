import type { Command } from "commander";
import type { CacheNode } from "../../cache.js";
import { addCacheOptions, askNodes, type CacheFlags } from "../cache-nodes.js";
import { option, parseDuration } from "../parsing.js";
import { count } from "../progress.js";
import type { Surroundings } from "../surroundings.js";
import { table } from "../table.js";

/** What becomes of an invalidation, for people. */
const outcomes = `
Every node that is asked does it at once, and tells the others over the bus: published. With queued the bus has not taken it yet, and
the node tries on; it counts at that node all the same.`;

/** `zooid cache invalidate <tag…>`: what depends on a tag, or on one below it, is stale. */
export function addCacheInvalidate(parent: Command, surroundings: Surroundings): void {
  const command = parent
    .command("invalidate")
    .description("Invalidates tags: what depends on one of them, or on one below it, is stale.")
    .argument("<tag...>", "tags, as a:b:c")
    .addHelpText(
      "after",
      `${outcomes}

Examples:
  $ zooid cache invalidate cities:DE
  $ zooid cache invalidate cities layout --prefix shop
  $ zooid cache invalidate cities:DE --node A`,
    );
  addCacheOptions(command).action(async (tags: string[], flags: CacheFlags) => {
    await steer(flags, surroundings, ["outcome"], async (node) => ({ outcome: await node.invalidate(tags) }));
  });
}

/** `zooid cache clear`: everything is stale. */
export function addCacheClear(parent: Command, surroundings: Surroundings): void {
  const command = parent
    .command("clear")
    .description("Makes everything stale, at all nodes: what is asked for next is computed anew.")
    .addHelpText(
      "after",
      `${outcomes}

Examples:
  $ zooid cache clear
  $ zooid cache clear --prefix shop --json`,
    );
  addCacheOptions(command).action(async (flags: CacheFlags) => {
    await steer(flags, surroundings, ["outcome"], async (node) => ({ outcome: await node.clear() }));
  });
}

interface PruneFlags extends CacheFlags {
  readonly unused?: number;
}

/** `zooid cache prune`: what lapsed, and tags that nothing depends on, go. */
export function addCachePrune(parent: Command, surroundings: Surroundings): void {
  const command = parent
    .command("prune")
    .description("Removes results that are stale or expired, and tags that nothing has depended on for long.")
    .addOption(
      option(
        "--unused <duration>",
        "ZOOID_UNUSED",
        "forget tags that are unused this long (default: as each node is configured)",
      ).argParser(parseDuration),
    )
    .addHelpText(
      "after",
      `
Nothing becomes stale by it, and nothing stale good again. It is done in small steps; nodes do it by themselves too.

Examples:
  $ zooid cache prune
  $ zooid cache prune --unused 10m --node A`,
    );
  addCacheOptions(command).action(async (flags: PruneFlags) => {
    await steer(flags, surroundings, ["entries", "tags"], (node) => node.prune(flags.unused));
  });
}

/** Has every node do something, and tells what became of it. */
async function steer(
  flags: CacheFlags,
  surroundings: Surroundings,
  columns: readonly string[],
  act: (node: CacheNode) => Promise<object>,
): Promise<void> {
  const { out } = surroundings;
  await askNodes(flags, surroundings, act, async (answers) => {
    if (flags.json === true) {
      for (const { node, answer } of answers) await out.json({ node: node.node, instance: node.instance, ...answer });
      return;
    }
    const rows = answers.map(({ label, answer }) => [label, ...Object.values(answer).map(shown)]);
    for (const line of table(["node", ...columns], rows)) await out.line(line);
  });
}

function shown(value: unknown): string {
  return typeof value === "number" ? count(value) : String(value);
}
