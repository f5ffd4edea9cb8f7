/** A cache beside clients of a real storage server in the same process, all on one simulated clock. */
import { onTestFinished } from "vitest";
import { type Cache, type CacheOptions, createCache } from "../../../../cache.js";
import type { ObjectClient } from "../../../../actors/client/object-client.js";
import { seededRandom, type Value } from "../../../../core/index.js";
import { type ClientWorld, clientWorld } from "../../../support/client-world.js";
import type { WorldOptions } from "../../../support/server-world.js";

export interface ObjectWorld extends ClientWorld {
  readonly cache: Cache;
  /** The client that cached functions read through. */
  readonly reader: ObjectClient;
  /** Another client. */
  readonly writer: ObjectClient;
  /** The writer commits a value; resolves when the reader has the invalidation. */
  put(key: string, value: Value): Promise<void>;
  remove(key: string): Promise<void>;
  /** Opens another cache. */
  openCache(options?: CacheOptions): Promise<Cache>;
}

export async function objectWorld(options: WorldOptions = {}): Promise<ObjectWorld> {
  const world = await clientWorld(options);
  const { client: reader } = await world.open("reader");
  const { client: writer } = await world.open("writer");
  const caches: Cache[] = [];
  const openCache = async (cacheOptions: CacheOptions = {}) => {
    const cache = await createCache({ clock: world.clock, random: seededRandom(1), ...cacheOptions });
    caches.push(cache);
    return cache;
  };
  onTestFinished(async () => {
    for (const cache of caches) await cache.close();
    world.end();
  });
  const heard = async (tid: number) => {
    while (reader.position.tid < tid) await world.clock.advance(1);
  };
  return {
    ...world,
    cache: await openCache(),
    reader,
    writer,
    openCache,
    put: async (key, value) => heard(await world.run(writer.put(key, value))),
    remove: async (key) => heard(await world.run(writer.delete(key))),
  };
}

/** A function that counts its runs. */
export function counted<Args extends readonly unknown[], Result>(fn: (...args: Args) => Promise<Result>) {
  const counting = Object.assign(
    (...args: Args): Promise<Result> => {
      counting.runs++;
      return fn(...args);
    },
    { runs: 0 },
  );
  return counting;
}
