import type { CachedKey } from "../../cache.js";
import type { CliCommand } from "../command.js";
import { addListingOptions, type ListingFlags, showRows } from "../cache-pages.js";
import { duration } from "../progress.js";
import type { Surroundings } from "../surroundings.js";

/** `zooid cache keys [beginning]`: the results that each node keeps. */
export function addCacheKeys(parent: CliCommand, surroundings: Surroundings): void {
  const command = parent
    .command("keys")
    .description("Lists the results that each node keeps, in the order of their keys, without their values.")
    .argument("[beginning]", "beginning of the keys; all when not given", "").notes(`
Lists results in memory and in the folder, if there is one, but not those in a shared bucket. "left" is the rest of the time to live,
"tags" are the tags on which the result depends. Listing a result does not keep it alive.

Examples:
  $ zooid cache keys
  $ zooid cache keys 'figures(' --node A
  $ zooid cache keys --json --limit 10000 | jq -r .key`);
  addListingOptions(command, "key").action((beginning: string, flags: ListingFlags) =>
    showRows(flags, surroundings, (node, listing) => node.keys(beginning, listing), ["tier", "age", "left", "tags", "key"], cells),
  );
}

function cells({ tier, ageMs, leftMs, tags, key }: CachedKey): readonly string[] {
  const left = leftMs === undefined ? "-" : duration(leftMs);
  return [tier, duration(ageMs), left, tags.map((tag) => (tag === "" ? "-" : tag)).join(", "), key];
}
