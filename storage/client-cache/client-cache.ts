import type { Seams } from "../../core/index.js";
import { LRUCache } from "lru-cache";
import { assert } from "../../core/assert.js";
import { DiskFullError } from "../../core/errors.js";
import { limits } from "../../core/limits.js";
import { type Tid, tidZero } from "../../core/tid.js";
import { type AdmittedRevision, checkAdmitted } from "./admitted-revision.js";
import { CommitsAhead } from "./commits-ahead.js";
import { CacheDisk, type DiskRevision } from "./disk.js";
import { type CachedRevision, encodeRecord, HeldRevision } from "./revision.js";
import { ObjectReads } from "./object-reads.js";
import { type ObjectRead, staleRead } from "../../core/object-read.js";
import { OpenSnapshots } from "./open-snapshots.js";
import type { OpenStore } from "../kv/ordered-store.js";
import { type LoadTicket, RecentInvalidations } from "./recent-invalidations.js";
import { emptyPosition, type LoggedTransaction, type Position, type Write } from "../../core/transaction.js";

export type { AdmittedRevision } from "./admitted-revision.js";
export type { CachedRevision } from "./revision.js";
export type { LoadTicket } from "./recent-invalidations.js";

/** One committed transaction: the keys that it replaced, and its place in the chain. */
export type AppliedInvalidation = Omit<LoggedTransaction, "id">;

export interface ClientCacheOptions extends Pick<Seams, "clock" | "log"> {
  readonly storage: string;
  readonly realm: string;
  /** Undefined: in memory only. Open it with `durable: false`: it must survive the process, not the system. */
  readonly open: OpenStore | undefined;
  readonly cacheBytesMax?: number;
  /** 0: no decoded value is kept. */
  readonly memoryBytesMax?: number;
}

/** Size of a cache, and the results of its look-ups since it was opened. Sizes in bytes. */
export interface ClientCacheStats {
  readonly entries: number;
  readonly bytes: number;
  readonly memoryEntries: number;
  readonly memoryBytes: number;
  readonly hits: { readonly memory: number; readonly disk: number };
  readonly misses: number;
  readonly evictions: number;
  readonly closedRevisions: number;
}

/** Bytes that a decoded object counts in addition to its encoded size. */
const memoryOverheadBytes = 128;

/**
 * The cache of one client for one storage: current revisions in memory and on disk, older ones for open snapshots.
 *
 *     1. A current revision is valid in [serial, position]: every invalidation up to `position` of its key has closed
 *        it, in every tier, in the same turn in which the position moved.
 *     2. Invalidation T closes revisions with serial < T and does not change others: a load or a commit may know more
 *        than the last tid.
 *     3. A load that knew less than `position` makes a revision current only if all invalidations in between are
 *        remembered and none touched the key; else it is closed at the first that touched it, or at the load's as-of.
 *     4. The position on disk is written together with the entries it covers, and is never ahead of them.
 *     5. The two tiers agree: a key that is in both has the same serial.
 *
 * Source: ZEO's `cache.py` and `docs/ordering.rst`; the rules are DESIGN's promises 4 to 6 and "A load".
 */
export class ClientCache {
  /** Reads of computations as of the position, or as of an earlier tid with the same result. */
  readonly reads: ObjectReads;
  readonly #options: ClientCacheOptions;
  readonly #memory: LRUCache<string, HeldRevision>;
  readonly #disk: CacheDisk | undefined;
  readonly #snapshots: OpenSnapshots;
  readonly #remembered: RecentInvalidations;
  readonly #ahead = new CommitsAhead();
  #position: Position;
  #asOf: Position;
  #memoryHits = 0;
  #diskHits = 0;
  #misses = 0;

  private constructor(options: ClientCacheOptions, disk: CacheDisk | undefined) {
    const { memoryBytesMax = limits.memoryBytesMax } = options;
    this.#options = options;
    this.#disk = disk;
    this.#position = disk?.position ?? emptyPosition;
    this.#asOf = disk?.asOf ?? emptyPosition;
    const onFull = () => {
      const { log, storage } = options;
      log.warn(
        { storage, readsMax: limits.objectReadsMax },
        "cached results depend on too many objects: results that depend on further objects are not kept",
      );
    };
    this.reads = new ObjectReads({ onFull });
    this.#memory = new LRUCache({ maxSize: Math.max(1, memoryBytesMax) });
    this.#snapshots = new OpenSnapshots(Math.max(memoryBytesMax, limits.messageBytesMax));
    this.#remembered = new RecentInvalidations(this.#position.tid, limits.rememberedKeysMax);
  }

  /** Opens an earlier process's cache, or a new one; in memory if the disk is full. Rejects: StoreError, InUseError. */
  static async open(options: ClientCacheOptions): Promise<ClientCache> {
    const { open, cacheBytesMax: bytesMax = limits.cacheBytesMax } = options;
    if (open === undefined) return new ClientCache(options, undefined);
    try {
      return new ClientCache(options, await CacheDisk.open({ ...options, open, bytesMax }));
    } catch (error) {
      if (!(error instanceof DiskFullError)) throw error;
      const { storage, log } = options;
      log.error({ storage, folder: error.folder, error }, "cache goes on in memory, its disk is full");
      return new ClientCache(options, undefined);
    }
  }

  /** Last tid whose invalidation was applied; the empty position when there is none. */
  get position(): Position {
    return this.#position;
  }

  /** Greatest as-of of any load whose revision may be here; at least `position`. */
  get asOf(): Position {
    return this.#asOf;
  }

  /** Whether the cache has no position and no revision of any history yet. */
  get isNew(): boolean {
    return this.#position.tid === tidZero && this.#asOf.tid === tidZero;
  }

  get oldestSnapshot(): Tid | undefined {
    return this.#snapshots.oldest;
  }

  /** The revision of `key` at `snapshot`; undefined when it is not cached. */
  find(key: string, snapshot: Tid): CachedRevision | undefined {
    const held = this.#memory.get(key);
    if (held !== undefined && held.serial <= snapshot && snapshot <= this.#position.tid && held.isDecoded) {
      this.#memoryHits++;
      if (held.entry !== undefined) held.entry.touched = true;
      return held;
    }
    return this.#findElsewhere(key, snapshot, held);
  }

  /** From now on, replaced revisions that `snapshot` needs are kept. Counted: close it as often as it was opened. */
  openSnapshot(snapshot: Tid): void {
    this.#snapshots.open(snapshot);
  }

  closeSnapshot(snapshot: Tid): void {
    this.#snapshots.close(snapshot);
  }

  /** Call it before the request is sent, so that no invalidation that may overlap the load is missed. */
  beginLoad(snapshot: Tid): LoadTicket {
    return this.#remembered.begin(snapshot, this.#position.tid);
  }

  /** Idempotent. */
  endLoad(ticket: LoadTicket): void {
    this.#remembered.end(ticket);
  }

  /**
   * Adds the answer to a load, and returns its revision. Keeps only a revision that is certainly valid, and none if the
   * cache was discarded since the load began. Throws BehindError or MalformedMessageError for an answer that cannot
   * belong to the snapshot, InvalidValueError for a value that cannot be decoded.
   */
  admit(ticket: LoadTicket, key: string, revision: AdmittedRevision, asOf: Position): CachedRevision {
    checkAdmitted(revision, ticket.snapshot, asOf.tid);
    const isKept = this.#remembered.has(ticket);
    const known = isKept ? this.#memory.peek(key) : undefined;
    if (known?.serial === revision.serial && known.isDecoded) return known;
    const record = encodeRecord(revision.serial, revision.value);
    const held = new HeldRevision(revision.serial, record).decoded();
    if (isKept) this.#admit(key, held, record, revision.next, asOf);
    return held;
  }

  /** Adds the values of a transaction that this client committed, under the same rules as the answer to a load. */
  admitCommitted(ticket: LoadTicket, writes: readonly Write[], committed: Position): void {
    if (!this.#remembered.has(ticket)) return;
    for (const { key, value } of writes) {
      const record = encodeRecord(committed.tid, value);
      this.#admit(key, new HeldRevision(committed.tid, record), record, undefined, committed);
    }
  }

  /** `read` if the revision found at `snapshot` is still current, else a stale read. Get `read` before the look-up. */
  foundAt(read: ObjectRead, snapshot: Tid, serial: Tid): ObjectRead {
    if (this.#ahead.has(read.text)) return staleRead;
    // The revision that is current as of the position has been current since it was written.
    if (read.since > snapshot && this.#currentSerial(read.text) === serial) read.since = serial;
    return read.since <= snapshot ? read : staleRead;
  }

  /** `foundAt` for all keys with a prefix. `ticket`: a load since the snapshot, so invalidations are remembered. */
  listedAt(read: ObjectRead, snapshot: Tid, ticket: LoadTicket | undefined): ObjectRead {
    if (this.#ahead.hasBelow(read.text)) return staleRead;
    if (read.since <= snapshot) return read;
    const isRemembered = ticket !== undefined && this.#remembered.has(ticket) && this.#remembered.reachesBackTo(snapshot);
    if (!isRemembered || this.#remembered.hasBelow(read.text, snapshot)) return staleRead;
    read.since = snapshot;
    return read;
  }

  /**
   * Moves the position over one transaction: its keys are closed in all tiers at return, on disk with the next batch.
   */
  apply(invalidation: AppliedInvalidation): void {
    const { previous, tid, digest, keys } = invalidation;
    assert(previous === this.#position.tid, "an invalidation is applied directly after its predecessor");
    assert(tid > previous, "tids rise along the chain");
    for (const key of keys) this.#invalidate(key, tid);
    this.#remembered.remember(tid, keys);
    this.reads.touch(keys);
    this.#moveTo({ tid, digest });
  }

  /**
   * A commit of this client is acknowledged as `tid`, but cannot be applied yet, because an earlier invalidation is
   * missing. Until it is applied, no computation depends on `keys` as they are at the position: a call that begins now
   * must not get data that this commit replaced.
   */
  committedAhead(tid: Tid, keys: readonly string[] | undefined): void {
    assert(tid > this.#position.tid, "a commit that is ahead is not applied yet");
    if (keys === undefined) this.reads.touchAll();
    else this.reads.touch(keys);
    this.#ahead.addCommit(tid, keys);
  }

  /** Drops every revision, and the answers of loads in flight; moves to `position`. Resolves when this is on disk. */
  async discard(position: Position): Promise<void> {
    this.#memory.clear();
    this.#snapshots.forgetRevisions();
    this.#remembered.clear();
    this.#ahead.clear();
    this.reads.touchAll();
    this.#disk?.removeAll();
    this.#asOf = position;
    this.#moveTo(position);
    await this.flush();
  }

  /** Resolves when all changes so far are on disk, or the disk is lost. */
  async flush(): Promise<void> {
    await this.#disk?.flush();
  }

  stats(): ClientCacheStats {
    const disk = this.#disk?.stats;
    return {
      entries: disk?.entries ?? 0,
      bytes: disk?.bytes ?? 0,
      memoryEntries: this.#memory.size,
      memoryBytes: this.#memory.calculatedSize,
      hits: { memory: this.#memoryHits, disk: this.#diskHits },
      misses: this.#misses,
      evictions: disk?.evictions ?? 0,
      closedRevisions: this.#snapshots.closedCount,
    };
  }

  /** Writes pending changes and closes the disk. Revisions in memory can still be found. */
  async close(): Promise<void> {
    this.reads.close();
    await this.#disk?.close();
  }

  /** Closes the disk at once; pending changes are lost. */
  async abandon(): Promise<void> {
    this.reads.close();
    await this.#disk?.abandon();
  }

  /** For simulations: the process is killed here, and pending changes are lost. */
  kill(): void {
    this.reads.close();
    this.#disk?.kill();
    this.#memory.clear();
    this.#snapshots.forgetRevisions();
    this.#remembered.clear();
  }

  /** `find` for revisions that are undecoded, closed, on disk, or unknown. */
  #findElsewhere(key: string, snapshot: Tid, held: HeldRevision | undefined): HeldRevision | undefined {
    const closed = this.#snapshots.find(key, snapshot);
    if (closed !== undefined) {
      const decoded = this.#decoded(key, closed);
      if (decoded !== undefined) this.#memoryHits++;
      return decoded ?? this.#miss();
    }
    const entry = this.#disk?.find(key);
    const serial = held?.serial ?? entry?.serial;
    if (serial === undefined || serial > snapshot || snapshot > this.#position.tid) return this.#miss();
    const current = held ?? this.#readEntry(key, entry);
    if (current === undefined) return this.#miss();
    if (this.#decoded(key, current) === undefined) {
      this.#drop(key);
      return this.#miss();
    }
    if (entry !== undefined) entry.touched = true;
    if (held !== undefined) this.#memoryHits++;
    else {
      this.#diskHits++;
      this.#hold(key, current, entry);
    }
    return current;
  }

  #miss(): undefined {
    this.#misses++;
    return undefined;
  }

  /** Undefined, and logged, when the bytes are not a valid value: the revision then counts as not cached. */
  #decoded(key: string, revision: HeldRevision): HeldRevision | undefined {
    try {
      return revision.decoded();
    } catch (error) {
      const { log, storage } = this.#options;
      log.error({ storage, key, serial: revision.serial, error }, "cached revision cannot be decoded");
      return undefined;
    }
  }

  #readEntry(key: string, entry: DiskRevision | undefined): HeldRevision | undefined {
    const record = entry === undefined ? undefined : this.#disk?.read(key, entry);
    return entry === undefined || record === undefined ? undefined : new HeldRevision(entry.serial, record);
  }

  #hold(key: string, revision: HeldRevision, entry: DiskRevision | undefined): void {
    revision.entry = entry;
    this.#memory.set(key, revision, { size: revision.bytes + key.length + memoryOverheadBytes });
  }

  #drop(key: string): void {
    this.#memory.delete(key);
    this.#disk?.remove(key);
  }

  /** Serial of the current revision, in either tier. */
  #currentSerial(key: string): Tid | undefined {
    return this.#memory.peek(key)?.serial ?? this.#disk?.find(key)?.serial;
  }

  #invalidate(key: string, tid: Tid): void {
    const serial = this.#currentSerial(key);
    if (serial === undefined || serial >= tid) return;
    this.#keepClosed(key, serial, tid);
    this.#drop(key);
  }

  /** Keeps the current revision, which is about to be dropped, for the open snapshots in [serial, next). */
  #keepClosed(key: string, serial: Tid, next: Tid): void {
    if (!this.#snapshots.need(serial, next)) return;
    const revision = this.#memory.peek(key) ?? this.#readEntry(key, this.#disk?.find(key));
    if (revision !== undefined) this.#snapshots.keep(key, revision, next);
  }

  #admit(key: string, held: HeldRevision, record: Uint8Array, next: Tid | undefined, asOf: Position): void {
    const { serial } = held;
    const position = this.#position.tid;
    if (asOf.tid > this.#asOf.tid) this.#asOf = asOf;
    const known = this.#currentSerial(key);
    const end = this.#endOf(key, next, asOf.tid);
    if (end === undefined && (known === undefined || known < serial)) {
      // The previous revision was valid at least until now. Its exact end is unknown until its invalidation arrives.
      if (known !== undefined) this.#keepClosed(key, known, after(Math.min(serial - 1, position)));
      this.#hold(key, held, this.#disk?.put(key, serial, record));
    } else if (known === serial) {
      if (this.#memory.peek(key) === undefined) this.#hold(key, held, this.#disk?.find(key));
    } else {
      // Current as of the position, but a newer revision is already here, whose invalidation has not arrived yet.
      this.#snapshots.keep(key, held, end ?? next ?? after(Math.max(position, asOf.tid)));
    }
    this.#disk?.stand(this.#position, this.#asOf);
  }

  /** First tid at which the loaded revision is not known to be valid; undefined: it is current. */
  #endOf(key: string, next: Tid | undefined, asOf: Tid): Tid | undefined {
    const position = this.#position.tid;
    // If the transaction that replaced it is not applied here yet, the revision is current until then.
    if (next !== undefined) return next > position ? undefined : next;
    if (asOf >= position) return undefined;
    return this.#remembered.reachesBackTo(asOf) ? this.#remembered.firstAfter(key, asOf) : after(asOf);
  }

  #moveTo(position: Position): void {
    this.#position = position;
    this.#ahead.reached(position.tid);
    if (position.tid > this.#asOf.tid) this.#asOf = position;
    this.#disk?.stand(this.#position, this.#asOf);
  }
}

function after(tid: number): Tid {
  return (tid + 1) as Tid;
}
