/**
 * Opens a new store in folders below the first argument, while the disk has less and less room. The second argument is
 * the kind: a store alone (`store`), a cache of results (`cache`), or the cache of a client (`client`). Prints the
 * outcomes as JSON. The third argument is a file that fills the disk; without it the disk cannot be filled.
 */
import { closeSync, fstatSync, ftruncateSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { createCache } from "../../../cache.js";
import { openObjectClient } from "../../../actors/client/object-client.js";
import { openLmdbStore, startStorageServer } from "../../../server.js";
import { MemoryDisk } from "../../../testing/memory-store.js";
import { createBroker } from "../../../transport/index.js";
import { type Log, silentLog, systemRandom, systemClock, ZooidError } from "../../../core/index.js";

const [parent = "", kind = "", ballast] = process.argv.slice(2);
const pageBytes = 4_096;
/** From more pages than a new store needs down to none. */
const roomsPages = ballast === undefined ? [0] : [300, 200, 64, 16, 8, 4, 3, 2, 1, 0];

const lines: string[] = [];
const line: Log["error"] = (_facts: unknown, text?: string) => void lines.push(String(text));
const log: Log = { ...silentLog, error: line };

/** Fills the disk except for `pages` pages. */
function leave(pages: number): void {
  if (ballast === undefined) return;
  const file = openSync(ballast, "a+");
  try {
    const bytes = Buffer.alloc(pageBytes, 1);
    for (;;) writeSync(file, bytes);
  } catch {
    ftruncateSync(file, fstatSync(file).size - pages * pageBytes);
  } finally {
    closeSync(file);
  }
}

async function openStore(folder: string): Promise<string> {
  try {
    const store = await openLmdbStore({ folder });
    await store.close();
    return "opened";
  } catch (error) {
    return error instanceof ZooidError ? `${error.code} ${String(error.facts["isEmpty"])}` : String(error);
  }
}

async function useCache(folder: string): Promise<string> {
  await using cache = await createCache({ storageUrl: `lmdb:${folder}`, log });
  let calls = 0;
  const load = cache.cacheable(async (_id: number) => `${++calls}`.padEnd(5_000), { name: "load" });
  for (const id of [1, 2, 1, 2]) await load(id);
  return calls === 2 ? "kept" : `computed ${calls} times`;
}

async function useClient(folder: string): Promise<string> {
  const seams = { realm: "full", clock: systemClock, random: systemRandom, log };
  const broker = createBroker();
  const disk = new MemoryDisk("objects", (apply) => {
    apply();
    return Promise.resolve();
  });
  const server = await startStorageServer({ ...seams, transport: broker.connect(), storages: { main: { open: () => disk.open() } } });
  const cache = () => openLmdbStore({ folder, durable: false, bootId: "boot" });
  const client = await openObjectClient({ ...seams, client: "a", storage: "main", transport: broker.connect(), cache });
  await client.put("k", "v".repeat(5_000));
  const value = await client.get("k");
  await client.close();
  await server.close();
  return value === "v".repeat(5_000) ? "kept" : String(value);
}

const use = { store: openStore, cache: useCache, client: useClient }[kind] ?? openStore;
const found: Record<string, string> = {};
for (const pages of roomsPages) {
  leave(pages);
  const folder = join(parent, `begun-with-${pages}`);
  found[pages] = await use(folder);
  rmSync(folder, { recursive: true, force: true });
}
console.log(JSON.stringify({ found, lines }));
process.exit(0);
