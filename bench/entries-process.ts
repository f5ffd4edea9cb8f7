/** Keeps many results in a cache, or values in a Map, and prints the growth of the heap in bytes. */
import { createCache } from "../cache.js";

const [what, amount] = process.argv.slice(2);
const entries = Number(amount);
const text = "x".repeat(200);
const value = (index: number) => ({ index, text });
const key = (index: number) => `key/${String(index).padStart(7, "0")}`;
const { gc } = globalThis as { readonly gc?: () => void };

async function heapBytes(): Promise<number> {
  for (let round = 0; round < 4; round++) {
    gc?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return process.memoryUsage().heapUsed;
}

async function fillCache(): Promise<() => Promise<boolean>> {
  const cache = await createCache({ maxBytes: Infinity });
  const find = cache.cacheable(async (argument: string) => value(Number(argument.slice(4))), { name: "find", deps: ["cities:DE"] });
  for (let index = 0; index < entries; index++) await find(key(index));
  return async () => {
    const { misses } = cache.stats();
    for (let index = 0; index < entries; index += 1_000) if ((await find(key(index))).index !== index) return false;
    return cache.stats().misses === misses && cache.stats().entries === entries;
  };
}

function fillMap(): () => Promise<boolean> {
  const map = new Map<string, unknown>();
  for (let index = 0; index < entries; index++) map.set(key(index), value(index));
  return () => Promise.resolve(map.size === entries);
}

const before = await heapBytes();
const isCorrect = what === "cache" ? await fillCache() : fillMap();
const bytes = (await heapBytes()) - before;
console.log(JSON.stringify({ bytes, correct: await isCorrect() }));
