import type { AppliedAt, PersistentEntryStore } from "../storage/entry-store.js";
import { keyTag } from "../storage/cache-key.js";
import type { MemoryEntryStore } from "../storage/memory-entries.js";
import type { TagTrie } from "../storage/tag-trie.js";
import type { Bus, BusEvent, BusVersion } from "../transport/bus.js";
import { type Chance, type Clock, isBelow, limits, type Log, type Tag } from "../words/index.js";
import type { CachedCalls } from "./cached-calls.js";
import { Outbox, type Publication } from "./outbox.js";
import { isHashed, keyOf } from "./shelf.js";

/** What invalidations meet here. */
export interface CacheIntakeAround {
  readonly trie: TagTrie;
  readonly memory: MemoryEntryStore;
  readonly disk: PersistentEntryStore | undefined;
  readonly calls: Pick<CachedCalls, "invalidateKey">;
  /** Undefined: this process is alone, and counts for itself. */
  readonly bus: Bus | undefined;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly log: Log;
  readonly publishTimeoutMs: number;
}

/** A key, and the tag that is its own. */
export interface OwnKey {
  readonly key: string;
  readonly tag: Tag;
}

/** What is published of an invalidation, once its caller knows that it counts here. */
export type Published = () => Promise<Publication>;

const publishedAtOnce = Promise.resolve<Publication>("published");
const allKeys = keyTag("x").slice(0, keyTag("x").indexOf(":")) as Tag;

/**
 * Invalidations of a cache, its own and those of others.
 *
 * 1. One of this node counts here before its call returns; it is pending until the bus has numbered it.
 * 2. What the bus tells is applied in its order; on disk the position moves with it.
 * 3. The key's own tag stands for the entry of that key, which goes, but for the one that a `set` of this node put there by that invalidation.
 */
export class CacheIntake {
  readonly #around: CacheIntakeAround;
  readonly #outbox: Outbox | undefined;
  /** Entries that sets of this node put, by the ids under which those are published, until the bus tells of them. */
  readonly #ownSets = new Map<string, object>();
  /** Keys of entries that were set and whose tags tell them by a hash only. */
  readonly #hashedSets = new Map<Tag, string>();
  #epoch: string | undefined;
  /** Told last: a bus in this process tells of an invalidation while it is published. */
  #heardId: string | undefined;

  constructor(around: CacheIntakeAround) {
    this.#around = around;
    const { bus, disk } = around;
    if (bus === undefined) return;
    this.#outbox = new Outbox({ ...around, bus, entriesMax: limits.outboxEntriesMax });
    bus.listen((event) => {
      this.#heard(event);
    });
    for (const { id, tag } of disk?.queued() ?? []) this.#publishPending(tag, id);
  }

  /** Invalidations that the bus has not acknowledged. */
  get waiting(): number {
    return this.#outbox?.size ?? 0;
  }

  /** `tag` and all below it are stale here from now on, and will be at all nodes. */
  invalidate(tag: Tag): Published {
    const key = keyOf(tag) ?? this.#hashedSets.get(tag);
    if (key !== undefined) this.#forgetKey(key);
    else if (isBelow(allKeys, tag)) this.#forgetAll();
    return this.#invalidate(tag);
  }

  /** The same for a key, in whose place `put` puts an entry that this invalidation does not mean. */
  replace({ key, tag }: OwnKey, put: () => object | undefined): Published {
    this.#around.calls.invalidateKey(key);
    let id: string | undefined;
    const published = this.#invalidate(tag, (sentAs) => {
      id = sentAs;
    });
    const entry = put();
    if (entry === undefined) return published;
    if (isHashed(tag)) this.#noteHashed(tag, key);
    if (id !== undefined && id !== this.#heardId) this.#ownSets.set(id, entry);
    return published;
  }

  close(): void {
    this.#outbox?.close();
  }

  #invalidate(tag: Tag, sentAs?: (id: string) => void): Published {
    const { trie, disk, chance, clock } = this.#around;
    if (this.#outbox === undefined) {
      const sequence = Math.max(trie.sequence, disk?.position?.sequence ?? 0) + 1;
      this.#apply(tag, { sequence, time: clock.now() });
      return disk === undefined ? () => publishedAtOnce : () => disk.flush().then((): Publication => "published");
    }
    const id = chance.id();
    disk?.queue({ id, tag });
    const outgoing = this.#publishPending(tag, id);
    sentAs?.(outgoing.id);
    const outbox = this.#outbox;
    return async () => {
      await disk?.flush();
      return outbox.outcome(outgoing);
    };
  }

  #publishPending(tag: Tag, id: string) {
    const { trie, disk } = this.#around;
    const outbox = this.#outbox;
    if (outbox === undefined) throw new TypeError("a cache without a bus publishes nothing");
    const pending = trie.pend(tag);
    return outbox.add(
      tag,
      ({ epoch, sequence }: BusVersion) => {
        // In another epoch than the one told of the reset that began it counts for this, or will.
        const known = epoch === this.#epoch ? sequence : undefined;
        trie.settle(pending, known);
        disk?.settle(id, known);
      },
      id,
    );
  }

  #heard(event: BusEvent): void {
    const { trie, disk, log } = this.#around;
    switch (event.type) {
      case "invalidated": {
        const tag = event.tag as Tag;
        this.#outbox?.heard(event.id, event.version);
        this.#applyHeard(tag, event.id);
        this.#apply(tag, event.version);
        return;
      }
      case "heartbeat":
        trie.advance(event.version.sequence);
        disk?.advance(event.version);
        return;
      case "reset": {
        const { epoch, sequence } = event.version;
        log.info({ epoch, sequence, from: this.#epoch }, "what was cached is stale");
        this.#epoch = epoch;
        this.#ownSets.clear();
        trie.reset(sequence);
        disk?.reset(event.version);
        this.#outbox?.flush();
        return;
      }
      case "cut":
        log.warn({}, "cut off from the bus");
        return;
      case "following":
        this.#epoch = event.version.epoch;
        trie.advance(event.version.sequence);
        disk?.advance(event.version);
        log.info({ epoch: event.version.epoch, sequence: event.version.sequence }, "following the bus");
        this.#outbox?.flush();
        return;
    }
  }

  #applyHeard(tag: Tag, id: string): void {
    this.#heardId = id;
    const own = this.#ownSets.get(id);
    this.#ownSets.delete(id);
    const key = keyOf(tag) ?? this.#hashedSets.get(tag);
    if (key === undefined) {
      if (isBelow(allKeys, tag)) this.#forgetAll();
      return;
    }
    if (own !== undefined && this.#around.memory.last(key) === own) return;
    this.#forgetKey(key);
  }

  #apply(tag: Tag, at: AppliedAt): void {
    this.#around.trie.apply(tag, at.sequence);
    this.#around.disk?.apply(tag, at);
  }

  #forgetKey(key: string): void {
    const { memory, disk, calls } = this.#around;
    memory.delete(key);
    disk?.delete(key);
    calls.invalidateKey(key);
  }

  /** An invalidation of the root, or of all keys: nothing that is kept outlives it. */
  #forgetAll(): void {
    const { memory, disk } = this.#around;
    this.#hashedSets.clear();
    this.#ownSets.clear();
    memory.clear();
    disk?.clear();
  }

  #noteHashed(tag: Tag, key: string): void {
    this.#hashedSets.set(tag, key);
    if (this.#hashedSets.size <= limits.outboxEntriesMax) return;
    const oldest = this.#hashedSets.entries().next().value;
    if (oldest === undefined) return;
    this.#hashedSets.delete(oldest[0]);
    this.#forgetKey(oldest[1]);
  }
}
