/**
 * A node with a folder, until it is killed. Arguments: the folder, the address of the bus, and the prefix of `load`'s
 * results. Each line of standard input is a command, `load <id>` or `invalidate <tag>`. Its outcome is printed on a
 * line of its own.
 */
import { writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { createCache } from "../../../../cache.js";

const [folder = "", busUrl = "", answer = ""] = process.argv.slice(2);
const cache = await createCache({ storageUrl: `lmdb:${folder}`, busUrl, publishTimeout: "1s" });
const load = cache.cacheable(async (id: string) => `${answer} ${id}`, { name: "load", deps: (id) => [`city:${id}`] });
while (cache.stats().bus?.type !== "following") await new Promise((resolve) => setImmediate(resolve));
writeSync(1, "following\n");
for await (const line of createInterface({ input: process.stdin })) {
  const [deed, argument = ""] = line.split(" ");
  writeSync(1, `${await (deed === "load" ? load(argument) : cache.invalidate(argument))}\n`);
}
