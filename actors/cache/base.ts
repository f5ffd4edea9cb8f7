import type { PersistentEntryStore } from "../../storage/results/entry-store.js";
import type { MemoryEntryStore } from "../../storage/results/memory-entries.js";
import type { TagTrie } from "../../storage/results/tag-trie.js";
import type { Bus } from "../../transport/bus.js";
import type { CacheObservers } from "./observers.js";
import type { CacheSettings } from "./options.js";

/** The parts of one cache that all others use. Its clock does not keep the process alive. */
export interface CacheBase extends CacheSettings {
  readonly trie: TagTrie;
  readonly memory: MemoryEntryStore;
  readonly disk: PersistentEntryStore | undefined;
  /** Undefined: this process is alone and counts for itself. */
  readonly bus: Bus | undefined;
  readonly observers: CacheObservers;
  /** Whether this node knows the invalidations well enough to serve and keep results; undefined: always. */
  readonly isInTouch: (() => boolean) | undefined;
}
