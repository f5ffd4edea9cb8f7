import type { OpenedCache } from "../../actors/cache/cache.js";
import { keyTag } from "../../storage/results/result-key.js";
import type { EntryPosition, Keeping } from "../../storage/results/entry-store.js";
import type { Bucket } from "../../transport/bucket.js";
import type { ResultTier } from "./result-tier.js";

/** What the nodes of a cache share, at one of them, as a tier. What is written is waited for; deleting and clearing are invalidations. */
export function sharedTier({ cache, core }: OpenedCache, bucket: Bucket): ResultTier {
  const { shared } = core;
  if (shared === undefined) throw new TypeError("the cache has a bucket");
  /** Of all that was put: a bucket does not tell them. */
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
