/**
 * Fills the folder of the first argument with results until the disk is full, invalidates one of them, and prints its
 * findings as JSON. Then it waits to be killed.
 */
import { writeSync } from "node:fs";
import { createCache } from "../../../../cache.js";
import { keptLog } from "../../../suites/client-cache.js";

const unhandled: string[] = [];
process.on("unhandledRejection", (reason) => unhandled.push(String(reason)));
const { lines, log } = keptLog();
const cache = await createCache({ storageUrl: `lmdb:${process.argv[2] ?? ""}`, log });
let computed = 0;
const load = cache.cacheable(async (id: string) => ({ computed: ++computed, text: id.padEnd(2_000) }), {
  name: "load",
  deps: (id) => [`page:${id}`],
});
let most = 0;
for (let n = 0; (cache.stats().disk?.entries ?? 0) >= most; n++) {
  most = cache.stats().disk?.entries ?? 0;
  await load(`k${n}`);
  if (n % 10 === 0) await cache.invalidate("nothing");
}
const kept = (await load("k5")).computed;
const published = await cache.invalidate("page:k5");
const anew = (await load("k5")).computed;
const again = (await load("k5")).computed;
for (let n = 0; n < 100; n++) await cache.invalidate(`page:other${n}`);
await new Promise((resolve) => setImmediate(resolve));
writeSync(1, `${JSON.stringify({ most, kept, published, isNew: anew > most, isKept: again === anew, lines, unhandled })}\n`);
setInterval(() => undefined, 60_000);
