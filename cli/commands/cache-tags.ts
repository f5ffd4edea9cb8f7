import type { Command } from "commander";
import type { ListedTag } from "../../cache.js";
import { addCacheOptions, type Answered, askNodes, type CacheFlags } from "../cache-nodes.js";
import { type Listed, listPages } from "../cache-pages.js";
import { option, parseInteger } from "../parsing.js";
import type { Surroundings } from "../surroundings.js";
import { table } from "../table.js";

interface TagsFlags extends CacheFlags {
  readonly after?: string;
  readonly limit: number;
}

/** `zooid cache tags [tag]`: the tree of tags that each node knows, with their versions. */
export function addCacheTags(parent: Command, surroundings: Surroundings): void {
  const command = parent
    .command("tags")
    .description("Shows the tags that each node knows, as a tree, with the number of the latest invalidation of each.")
    .argument("[tag]", "this tag and the tags below it; all when not given")
    .addOption(option("--after <tag>", undefined, "begin after this tag"))
    .addOption(
      option("--limit <count>", undefined, "list at most this many of each node").argParser(parseInteger(1, 1_000_000_000)).default(100),
    )
    .addHelpText(
      "after",
      `
A result is stale if a tag on which it depends, or a tag above that one, has a later version than the result; 0 is no invalidation.
"pending": the bus has not accepted the node's own invalidation yet. With JetStream the numbers come from the stream, else from the
node. The tags of keys are below .key; they are listed only when .key is given.

Examples:
  $ zooid cache tags
  $ zooid cache tags cities:DE --node A
  $ zooid cache tags .key --limit 10`,
    );
  addCacheOptions(command).action(async (below: string | undefined, flags: TagsFlags) => {
    await askNodes(
      flags,
      surroundings,
      (node) => listPages((listing) => node.tags(below, listing), flags),
      async (answers) => {
        if (flags.json === true) {
          for (const { node, answer } of answers) {
            for (const row of answer.rows) await surroundings.out.json({ node: node.node, instance: node.instance, ...row });
          }
        } else for (const line of table(["node", "version", "tag"], answers.flatMap(cells))) await surroundings.out.line(line);
        for (const { label, answer } of answers) {
          if (answer.next !== undefined) surroundings.say(`node ${label} has more: go on with --after ${JSON.stringify(answer.next)}`);
        }
      },
    );
  });
}

function cells({ label, answer }: Answered<Listed<ListedTag>>): readonly (readonly string[])[] {
  return answer.rows.map(({ tag, version, isPending }) => {
    const level = tag.split(":").length - 1;
    return [label, isPending ? "pending" : String(version), tag === "" ? "(everything)" : `${"  ".repeat(level)}${tag}`];
  });
}
