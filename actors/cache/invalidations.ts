import type { AppliedAt, PersistentEntryStore } from "../../storage/results/entry-store.js";
import { keyTag } from "../../storage/results/result-key.js";
import type { PendingTag } from "../../storage/results/tag-trie.js";
import type { BusEvent, BusVersion } from "../../transport/bus.js";
import { ClosedError, isBelow, limits, rootTag, soonerOf, type Tag, WriteInDoubtError } from "../../core/index.js";
import type { CachedCalls } from "./cached-calls.js";
import { type Claim, Outbox, type OutboxDeps, type Outgoing, type Publication } from "./outbox.js";
import { isHashed, keyOf, type TierParts } from "./tiers.js";

/** Dependencies of CacheIntake. */
export interface CacheIntakeDeps extends TierParts, Pick<OutboxDeps, "notes"> {
  readonly calls: Pick<CachedCalls, "invalidateKey">;
}

/** Counts since the cache was opened. */
export interface IntakeCounts {
  /** Invalidations of this node, and those of other nodes that the bus delivered. */
  readonly invalidations: number;
  readonly heard: number;
  /** Invalidations of this node that were not published within publishTimeout. */
  readonly queued: number;
  /** How often a full outbox became one invalidation of everything. */
  readonly overflows: number;
  /** How often all results became stale: another history, or a gap that could not be filled. */
  readonly resets: number;
  /** How often the bus was lost. */
  readonly cuts: number;
}

/** A key and its own tag. */
export interface OwnKey {
  readonly key: string;
  readonly tag: Tag;
}

/** An invalidation of a tag that the bus has not numbered yet. */
interface PendingClaim extends Claim {
  readonly pending: PendingTag;
  /** Ids under which the disk keeps it. An earlier process may have left several. */
  readonly ids: string[];
  /** Called with its version, unless the version is of another epoch than the current one. */
  onNumbered: ((version: BusVersion) => void) | undefined;
}

/** An entry of a `set` of this node. `share` gets the number of its invalidation once all earlier ones are applied. */
interface OwnSet {
  readonly entry: object;
  readonly share: ((sequence: number) => void) | undefined;
}

/** Resolves to the outcome of an invalidation that counts here already. */
export type Published = () => Promise<Publication>;

const publishedAtOnce = Promise.resolve<Publication>("published");
const publishedHere: Published = () => publishedAtOnce;
const allKeys = keyTag("x").slice(0, keyTag("x").indexOf(":")) as Tag;

/** Resolves when the disk has what was done here; to an error when the disk may still return what it held before. */
async function doubtOf(disk: PersistentEntryStore): Promise<WriteInDoubtError | undefined> {
  try {
    await disk.flush();
    return undefined;
  } catch (error) {
    if (error instanceof WriteInDoubtError) return error;
    throw error;
  }
}

/**
 * Invalidations of a cache, its own and those of other nodes.
 *
 * 1. An invalidation of this node counts here before its call returns. It is pending until the bus has numbered it.
 * 2. Events of the bus are applied in its order; on disk the position moves with them.
 * 3. An invalidation of a key's own tag removes the entry of the key, except the entry of the `set` that caused it.
 */
export class CacheIntake {
  readonly #deps: CacheIntakeDeps;
  readonly #outbox: Outbox<PendingClaim> | undefined;
  /** Sets of this node, by the ids of their publications, until the bus delivers them. */
  readonly #ownSets = new Map<string, OwnSet>();
  /** The entries of #ownSets. */
  readonly #setsToHear = new Set<object>();
  /** Keys that were set, by their tags, where a tag holds only a hash of its key. */
  readonly #hashedSets = new Map<Tag, string>();
  #epoch: string | undefined;
  readonly #counts = { invalidations: 0, heard: 0, resets: 0, cuts: 0 };
  #isClosed = false;
  /** The last that was delivered: a bus in this process delivers an invalidation while it is published. */
  #heardId: string | undefined;

  constructor(deps: CacheIntakeDeps) {
    this.#deps = deps;
    const { bus, disk } = deps;
    if (bus === undefined) return;
    this.#outbox = new Outbox({ ...deps, bus, entriesMax: limits.outboxEntriesMax });
    bus.listen((event) => {
      this.#heard(event);
    });
    for (const { id, tag } of disk?.queued() ?? []) this.#publishLeft(this.#outbox, tag, id);
  }

  /** Invalidations that the bus has not acknowledged. */
  get waiting(): number {
    return this.#outbox?.size ?? 0;
  }

  get counts(): IntakeCounts {
    const { queued, overflows } = this.#outbox ?? { queued: 0, overflows: 0 };
    return { ...this.#counts, queued, overflows };
  }

  /** Invalidates `tag` and all tags below it: here from now on, later at all nodes. Throws ClosedError. */
  invalidate(tag: Tag): Published {
    this.checkOpen();
    const key = keyOf(tag) ?? this.#hashedSets.get(tag);
    if (key !== undefined) this.#forgetKey(key);
    else if (isBelow(allKeys, tag)) this.#forgetAll();
    const { shared } = this.#deps;
    if (shared === undefined) return this.#invalidate(tag);
    return this.#invalidate(tag, undefined, ({ sequence }) => {
      if (key !== undefined) shared.discard(key, sequence);
      else if (tag === rootTag) shared.clear();
    });
  }

  /**
   * The same for a key; the entry of `put` takes its place and stays valid. `share` gets the number of this
   * invalidation, if the entry outlives all earlier ones. Throws ClosedError.
   */
  replace<E extends object>({ key, tag }: OwnKey, put: () => E | undefined, share?: (entry: E, sequence: number) => void): Published {
    this.checkOpen();
    if (this.#outbox === undefined) {
      this.#deps.disk?.delete(key);
      this.#deps.calls.invalidateKey(key);
      const published = this.#invalidate(tag);
      const entry = put();
      if (entry === undefined) this.#deps.memory.delete(key);
      else if (isHashed(tag)) this.#noteHashed(tag, key);
      return published;
    }
    // Removes the earlier entry, whether or not `put` returns one.
    this.#forgetKey(key);
    let id: string | undefined;
    let numbered: number | undefined;
    const published = this.#invalidate(
      tag,
      (sentAs) => {
        id = sentAs;
      },
      ({ sequence }) => {
        numbered = sequence;
      },
    );
    const entry = put();
    if (entry === undefined) return published;
    if (isHashed(tag)) this.#noteHashed(tag, key);
    // A bus in this process has numbered and delivered it already.
    if (numbered !== undefined) share?.(entry, numbered);
    else if (id !== undefined && id !== this.#heardId) this.#noteSet(id, { entry, share: share && ((sequence) => share(entry, sequence)) });
    return published;
  }

  checkOpen(): void {
    if (this.#isClosed) throw new ClosedError({ what: "cache" });
  }

  /** Refuses new calls, waits at most `timeoutMs` for publications if the bus follows, and then ends all waits. */
  async close(timeoutMs: number): Promise<void> {
    this.#isClosed = true;
    const { bus, clock } = this.#deps;
    if (this.#outbox !== undefined && bus?.state.type === "following") await soonerOf(clock, timeoutMs, this.#outbox.emptied());
    this.#outbox?.close();
  }

  #invalidate(tag: Tag, sentAs?: (id: string) => void, onNumbered?: (version: BusVersion) => void): Published {
    this.#counts.invalidations++;
    const { trie, disk, clock, bus } = this.#deps;
    if (this.#outbox === undefined) {
      if (disk === undefined) {
        trie.apply(tag, trie.sequence + 1);
        return publishedHere;
      }
      this.#apply(tag, { sequence: Math.max(trie.sequence, disk.position?.sequence ?? 0) + 1, time: clock.now() });
      return async () => {
        const doubt = await doubtOf(disk);
        if (doubt !== undefined) throw doubt;
        return "published";
      };
    }
    const outbox = this.#outbox;
    const outgoing = outbox.enqueue(tag, (claimed, id, known) => {
      if (known === undefined) disk?.queue({ id, tag: claimed });
      else trie.pendAgain(known.pending);
      const claim = known ?? this.#claim(claimed, id);
      // A later set or deletion of a key replaces the earlier one.
      if (claimed === tag) claim.onNumbered = onNumbered;
      return claim;
    });
    sentAs?.(outgoing.id);
    return async () => {
      const doubt = disk && (await doubtOf(disk));
      const outcome = await this.#outcome(outbox, outgoing);
      // A bus in this process keeps no messages: the next process has only the disk.
      if (doubt !== undefined && (outcome === "queued" || bus?.kind === "in-process")) throw doubt;
      return outcome;
    };
  }

  /** If the cache is closed before the publication, the disk repeats it at the next start. */
  async #outcome(outbox: Outbox<PendingClaim>, outgoing: Outgoing<PendingClaim>): Promise<Publication> {
    try {
      return await outbox.outcome(outgoing);
    } catch (error) {
      if (error instanceof ClosedError && this.#deps.disk?.isKeeping === true) return "queued";
      throw error;
    }
  }

  /**
   * Publishes an invalidation that an earlier process left on disk under `id`. The bus may have taken it already, so it
   * gets an id of this process: the bus would drop a copy as a duplicate, together with the tags that it covers by now.
   */
  #publishLeft(outbox: Outbox<PendingClaim>, tag: Tag, id: string): void {
    outbox.enqueue(tag, (claimed, _id, known) => {
      if (known === undefined) return this.#claim(claimed, id);
      known.ids.push(id);
      return known;
    });
  }

  #claim(tag: Tag, id: string): PendingClaim {
    const { trie, disk, shared } = this.#deps;
    const claim: PendingClaim = {
      pending: trie.pend(tag),
      ids: [id],
      onNumbered: undefined,
      settled: ({ epoch, sequence }) => {
        // If the version is of another epoch, the reset that begins that epoch covers this invalidation, now or later.
        const known = epoch === this.#epoch ? sequence : undefined;
        trie.settle(claim.pending, known);
        for (const each of claim.ids) disk?.settle(each, known);
        shared?.settled(tag, known);
        if (known !== undefined) claim.onNumbered?.({ epoch, sequence });
      },
      refused: () => {
        // It counts in this process all the same.
        trie.settle(claim.pending, undefined);
        for (const each of claim.ids) disk?.settle(each, undefined);
        shared?.settled(tag, undefined);
      },
    };
    return claim;
  }

  #heard(event: BusEvent): void {
    this.#take(event);
    this.#deps.shared?.hear(event);
  }

  #take(event: BusEvent): void {
    const { trie, disk, log } = this.#deps;
    switch (event.type) {
      case "invalidated": {
        const tag = event.tag as Tag;
        if (this.#outbox?.heard(event.tag, event.id, event.version) === undefined) this.#counts.heard++;
        this.#applyHeard(tag, event.id, event.version.sequence);
        this.#apply(tag, event.version);
        return;
      }
      case "heartbeat":
        trie.advance(event.version.sequence);
        disk?.advance(event.version);
        return;
      case "reset": {
        const { epoch, sequence } = event.version;
        this.#counts.resets++;
        log.info({ epoch, sequence, from: this.#epoch }, "all cached results are stale");
        this.#epoch = epoch;
        this.#ownSets.clear();
        this.#setsToHear.clear();
        trie.reset(sequence);
        disk?.reset(event.version);
        this.#outbox?.flush();
        return;
      }
      case "cut":
        // The bus logs why it was cut.
        this.#counts.cuts++;
        return;
      case "following":
        this.#epoch = event.version.epoch;
        trie.advance(event.version.sequence);
        disk?.advance(event.version);
        this.#forgetSuperseded();
        log.info({ epoch: event.version.epoch, sequence: event.version.sequence }, "following the bus");
        this.#outbox?.flush();
        return;
    }
  }

  #applyHeard(tag: Tag, id: string, sequence: number): void {
    this.#heardId = id;
    const own = this.#ownSets.get(id);
    if (own !== undefined) this.#forgetSet(id, own);
    const key = keyOf(tag) ?? this.#hashedSets.get(tag);
    if (key === undefined) {
      if (isBelow(allKeys, tag)) this.#forgetAll();
      return;
    }
    const last = this.#deps.memory.last(key);
    if (own !== undefined && last !== undefined) {
      if (last === own.entry) {
        own.share?.(sequence);
        return;
      }
      // An earlier invalidation does not concern the entry of a later set of this node.
      if (this.#setsToHear.has(last)) return;
    }
    this.#forgetKey(key);
  }

  #apply(tag: Tag, at: AppliedAt): void {
    this.#deps.trie.apply(tag, at.sequence);
    this.#deps.disk?.apply(tag, at);
  }

  #forgetKey(key: string): void {
    const { memory, disk, calls } = this.#deps;
    memory.delete(key);
    disk?.delete(key);
    calls.invalidateKey(key);
  }

  /** An invalidation of the root, or of all keys: no entry outlives it. */
  #forgetAll(): void {
    const { memory, disk } = this.#deps;
    this.#hashedSets.clear();
    this.#ownSets.clear();
    this.#setsToHear.clear();
    memory.clear();
    disk?.clear();
  }

  /** A waiting invalidation may stand for several sets of its key: the last one counts. */
  #noteSet(id: string, set: OwnSet): void {
    const before = this.#ownSets.get(id);
    if (before !== undefined) this.#setsToHear.delete(before.entry);
    this.#ownSets.set(id, set);
    this.#setsToHear.add(set.entry);
  }

  #forgetSet(id: string, { entry }: OwnSet): void {
    this.#ownSets.delete(id);
    this.#setsToHear.delete(entry);
  }

  /** A numbered set that is not delivered yet was superseded while this node was cut off: no delivery follows. */
  #forgetSuperseded(): void {
    if (this.#ownSets.size === 0) return;
    const ids = this.#outbox?.ids;
    for (const [id, set] of this.#ownSets) if (ids?.has(id) !== true) this.#forgetSet(id, set);
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
