import type { ListedTag } from "../../cache.js";
import type { CliCommand } from "../command.js";
import { addListingOptions, type ListingFlags, showRows } from "../cache-pages.js";
import type { Surroundings } from "../surroundings.js";

/** `zooid cache tags [tag]`: the tree of tags that each node knows, with their versions. */
export function addCacheTags(parent: CliCommand, surroundings: Surroundings): void {
  const command = parent
    .command("tags")
    .description("Shows the tags that each node knows, as a tree, with the number of the latest invalidation of each.")
    .argument("[tag]", "this tag and the tags below it; all when not given").notes(`
A result is stale if a tag on which it depends, or a tag above that one, has a later version than the result; 0 is no invalidation.
"pending": the bus has not accepted the node's own invalidation yet. With JetStream the numbers come from the stream, else from the
node. The tags of keys are below .key; they are listed only when .key is given.

Examples:
  $ zooid cache tags
  $ zooid cache tags cities:DE --node A
  $ zooid cache tags .key --limit 10`);
  addListingOptions(command, "tag").action((below: string | undefined, flags: ListingFlags) =>
    showRows(flags, surroundings, (node, listing) => node.tags(below, listing), ["version", "tag"], cells),
  );
}

function cells({ tag, version, isPending }: ListedTag): readonly string[] {
  const level = tag.split(":").length - 1;
  return [isPending ? "pending" : String(version), tag === "" ? "(everything)" : `${"  ".repeat(level)}${tag}`];
}
