import type { Command } from "commander";
import type { CachedKey } from "../../cache.js";
import { addCacheOptions, type Answered, askNodes, type CacheFlags } from "../cache-nodes.js";
import { type Listed, listPages } from "../cache-pages.js";
import { option, parseInteger } from "../parsing.js";
import { duration } from "../progress.js";
import type { Surroundings } from "../surroundings.js";
import { table } from "../table.js";

interface KeysFlags extends CacheFlags {
  readonly after?: string;
  readonly limit: number;
}

/** `zooid cache keys [beginning]`: the results that each node keeps. */
export function addCacheKeys(parent: Command, surroundings: Surroundings): void {
  const command = parent
    .command("keys")
    .description("Lists the results that each node keeps, in the order of their keys, without their values.")
    .argument("[beginning]", "beginning of the keys; all when not given", "")
    .addOption(option("--after <key>", undefined, "begin after this key"))
    .addOption(
      option("--limit <count>", undefined, "list at most this many of each node").argParser(parseInteger(1, 1_000_000_000)).default(100),
    )
    .addHelpText(
      "after",
      `
Lists results in memory and in the folder, if there is one, but not those in a shared bucket. "left" is the rest of the time to live,
"tags" are the tags on which the result depends. Listing a result does not keep it alive.

Examples:
  $ zooid cache keys
  $ zooid cache keys 'figures(' --node A
  $ zooid cache keys --json --limit 10000 | jq -r .key`,
    );
  addCacheOptions(command).action(async (beginning: string, flags: KeysFlags) => {
    await askNodes(
      flags,
      surroundings,
      (node) => listPages((listing) => node.keys(beginning, listing), flags),
      async (answers) => {
        if (flags.json === true) {
          for (const { node, answer } of answers) {
            for (const row of answer.rows) await surroundings.out.json({ node: node.node, instance: node.instance, ...row });
          }
        } else
          for (const line of table(["node", "tier", "age", "left", "tags", "key"], answers.flatMap(cells)))
            await surroundings.out.line(line);
        for (const { label, answer } of answers) {
          if (answer.next !== undefined) surroundings.say(`node ${label} has more: go on with --after ${JSON.stringify(answer.next)}`);
        }
      },
    );
  });
}

function cells({ label, answer }: Answered<Listed<CachedKey>>): readonly (readonly string[])[] {
  return answer.rows.map(({ tier, ageMs, leftMs, tags, key }) => {
    const left = leftMs === undefined ? "-" : duration(leftMs);
    return [label, tier, duration(ageMs), left, tags.map((tag) => (tag === "" ? "-" : tag)).join(", "), key];
  });
}
