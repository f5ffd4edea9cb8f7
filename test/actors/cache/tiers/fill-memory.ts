/**
 * Calls cached functions with ever new arguments, as clients of a service can. Prints as JSON by how many megabytes the
 * memory grew: the maximum during the calls, and the growth at the end.
 */
import { createCache } from "../../../../cache.js";

const [what = "", amount = "", bytesMax = ""] = process.argv.slice(2);
const { gc } = globalThis as { readonly gc?: () => void };
const cache = await createCache(bytesMax === "" ? {} : { maxBytes: Number(bytesMax) });

const shapes: Readonly<Record<string, (id: number) => unknown>> = {
  texts: (id) => ({ id, body: String(id).padEnd(5_000, "x") }),
  small: (id) => id,
  bytes: (id) => ({ id, body: Buffer.alloc(5_000, id) }),
  pooled: (id) => ({ id, body: Buffer.from(`body of ${id}`) }),
  maps: (id) => new Map(Array.from({ length: 50 }, (_, index) => [`${id} ${index}`, index])),
  rows: (id) => Array.from({ length: 30 }, (_, row) => ({ id, row, name: `name ${row}`, score: row / 7, tags: ["a", "b"] })),
  wide: (id) => String(id).padEnd(2_500, "ж"),
  tags: (id) => id,
};
const make = shapes[what];
if (make === undefined) throw new Error(`the first argument is one of ${Object.keys(shapes).join(", ")}`);
const deps = what === "tags" ? (id: number) => Array.from({ length: 10 }, (_, index) => `tag:${id}:t${index}`) : "all";
const load = cache.cacheable(async (id: number) => make(id), { name: "load", deps });
const find = cache.cacheable((query: { readonly utm: number }) => make(query.utm), {
  name: "find",
  deps: (query) => (typeof deps === "function" ? deps(query.utm) : deps),
});

function usedMb(): number {
  // The first collection leaves freed buffers to another thread; the second waits for that thread.
  gc?.();
  gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 1024 / 1024;
}

const before = usedMb();
let most = 0;
for (let id = 0; id < Number(amount); id += 2) {
  await load(id);
  find({ utm: id + 1 });
  if (id % 10_000 === 0) {
    await new Promise((resolve) => setImmediate(resolve));
    most = Math.max(most, usedMb() - before);
  }
}
most = Math.max(most, usedMb() - before);
// Another thread frees the memory behind views.
for (let round = 0; round < 5; round++) {
  gc?.();
  await new Promise((resolve) => setTimeout(resolve, 50));
}
const end = usedMb() - before;
const { entries, bytes, evictions } = cache.stats();
console.log(JSON.stringify({ most: Math.round(most), end: Math.round(end), entries, bytes, evictions }));
