import type { OpenedCache } from "../../actors/cache/cache.js";
import { keyTag } from "../../storage/results/result-key.js";
import type { EntryPosition, Keeping } from "../../storage/results/entry-store.js";
import type { Bucket } from "../../transport/bucket.js";
import type { ResultTier } from "./result-tier.js";

/** The shared tier of a cache, used by one node. `put` waits for the write; `delete` and `clear` are invalidations. */
export function sharedTier({ cache, core }: OpenedCache, bucket: Bucket): ResultTier {
  const { shared } = core;
  if (shared === undefined) throw new TypeError("the cache has a bucket");
  /** Keys of all puts: a bucket does not list keys. */
  const keys = new Set<string>();
  const get = (key: string) => shared.get(key);
  return {
    begin: () => shared.begin(),
    get,
    put: async (key, value, how) => {
      keys.add(key);
      shared.put(key, value, how as Keeping<EntryPosition>);
      await shared.flush();
      return get(key);
    },
    delete: async (key) => {
      const wasThere = (await get(key)) !== undefined;
      await core.delete(keyTag(key));
      await shared.flush();
      return wasThere;
    },
    clear: async () => {
      await core.clear();
      await shared.flush();
    },
    keys: async function* () {
      for (const key of keys) if ((await bucket.get(key)) !== undefined) yield key;
    },
    flush: () => shared.flush(),
    close: () => cache.close(),
  };
}
