import { type Tag, WriteInDoubtError, type Seams } from "../../core/index.js";
import type { DiskEntry } from "./disk-entry.js";
import { encodeTierMeta, RecordKeys, type TierMeta, tierMetaKey } from "./entry-records.js";
import type { QueuedInvalidation } from "./entry-store.js";
import { PendingWrites } from "./pending-writes.js";
import { giveUp } from "../kv/failed-store.js";
import { Leftovers } from "./leftovers.js";
import type { StoreChange, OpenStore, OrderedStore } from "../kv/ordered-store.js";
import { WriteBehind } from "../kv/write-behind.js";

/** Where a tier is on disk. */
export interface TierPlace {
  /** Name of the cache that owns the results: a folder with another name is refused. */
  readonly name: string;
  readonly open: OpenStore;
  /** Removes all data of the store, when it is closed and not even a mark can be written into it. */
  readonly remove?: (() => Promise<void>) | undefined;
}

/** Dependencies of the disk of a tier. */
export interface TierDiskDeps extends TierPlace, Pick<Seams, "clock" | "log"> {
  /** State of the tier that each batch writes. */
  readonly standing: () => Omit<TierMeta, "generations" | "isDiscarded">;
  /** Called when the disk is lost: nothing is read from it, or written to it, any more. */
  readonly lost: () => void;
}

/**
 * The disk of a tier: changes are collected and written in the background, with one batch in flight, and each batch
 * includes the state of the tier. After a kill, the disk holds the whole state of one moment.
 *
 * A batch that fails ends the use of the disk. Its last durable state is whole, because a batch is atomic, but it lacks
 * the later invalidations. Therefore it is marked as discarded, or removed, and its data is not used again.
 */
export class TierDisk {
  readonly #deps: TierDiskDeps;
  readonly #gathered = new PendingWrites();
  readonly #leftovers: Leftovers;
  readonly #writer: WriteBehind;
  #keys: RecordKeys;
  /** Undefined once the disk is lost, or closed. */
  #store: OrderedStore | undefined;
  /** Set when the disk is lost. Resolves to true when it is certain that its data is not used again. */
  #givingUp: Promise<boolean> | undefined;

  /** `unusable`: keys in `store` of records to remove. */
  constructor(deps: TierDiskDeps, store: OrderedStore, { keys, unusable }: { keys: RecordKeys; unusable: readonly Uint8Array[] }) {
    this.#deps = deps;
    this.#store = store;
    this.#keys = keys;
    this.#leftovers = new Leftovers(store, unusable, keys);
    this.#writer = new WriteBehind({
      store,
      clock: deps.clock,
      take: () => this.#take(),
      wrote: () => {
        this.#gathered.wrote();
        if (this.#leftovers.areLeft) this.#writer.changed();
      },
      lost: (error) => {
        this.lose(error);
      },
    });
    if (this.#leftovers.areLeft) this.#writer.changed();
  }

  /** Whether the disk can be read and written. */
  get isThere(): boolean {
    return this.#store !== undefined;
  }

  /** Bytes of entries that are not written yet. */
  get waitingBytes(): number {
    return this.#gathered.waitingBytes;
  }

  /** The value of an entry that was written; undefined when there is none, or the disk is lost. */
  value(key: string): Uint8Array | undefined {
    try {
      return this.#store?.read((view) => view.get(this.#keys.value(key)));
    } catch (error) {
      this.lose(error);
      return undefined;
    }
  }

  /** Undefined: a removal, here and below. */
  entry(key: string, entry: DiskEntry | undefined): void {
    if (this.#store === undefined) return;
    this.#gathered.entry(key, entry);
    this.#writer.changed();
  }

  version(tag: Tag, sequence: number | undefined): void {
    if (this.#store === undefined) return;
    this.#gathered.version(tag, sequence);
    this.#writer.changed();
  }

  queued(order: number, queued: QueuedInvalidation | undefined): void {
    if (this.#store === undefined) return;
    this.#gathered.queued(order, queued);
    this.#writer.changed();
  }

  /** Removes all entries at once, for any number of them. */
  forgetEntries(): void {
    const { entries, versions } = this.#keys.generations;
    this.#gathered.forgetEntries();
    this.#beginAnew({ entries: entries + 1, versions });
  }

  forgetVersions(): void {
    const { entries, versions } = this.#keys.generations;
    this.#gathered.forgetVersions();
    this.#beginAnew({ entries, versions: versions + 1 });
  }

  /** The position of the tier has moved. */
  moved(): void {
    this.#writer.changed();
  }

  /**
   * Resolves when all changes so far are on disk; after the disk is lost, when its data cannot be used again.
   * Rejects with WriteInDoubtError when not even that could be ensured, and with ClosedError.
   */
  async flush(): Promise<void> {
    try {
      await this.#writer.flush();
    } catch (error) {
      if ((await this.#givingUp) !== true) throw error;
    }
  }

  /** Flushes, then closes the store. Never rejects because of lost data. */
  async close(): Promise<void> {
    // A disk that cannot be written was logged when it was lost.
    await this.#writer.flush().catch(() => undefined);
    await this.#writer.end();
    const store = this.#store;
    this.#store = undefined;
    await store?.close();
    await this.#givingUp;
  }

  /** Continues without the disk. */
  lose(error: unknown): void {
    const store = this.#store;
    if (store === undefined) return;
    const { name, log, open, remove } = this.#deps;
    log.error({ name, folder: store.path, error }, "cached results on disk cannot be used any more");
    this.#store = undefined;
    this.#gathered.clear();
    const ended = this.#writer.end(new WriteInDoubtError({ folder: store.path }, error));
    const mark = [{ key: tierMetaKey, value: this.#meta(true) }];
    this.#givingUp = giveUp({ store, ended, open, mark, remove }).catch((failure: unknown) => {
      log.warn({ name, folder: store.path, error: failure }, "cached results on disk cannot be marked as discarded");
      return false;
    });
    this.#deps.lost();
  }

  #beginAnew(generations: RecordKeys["generations"]): void {
    this.#keys = new RecordKeys(generations);
    if (this.#store === undefined) return;
    this.#leftovers.noteEnd(this.#keys);
    this.#writer.changed();
  }

  #take(): readonly StoreChange[] {
    const { clock } = this.#deps;
    let changes: StoreChange[];
    try {
      changes = this.#leftovers.nextRemovals();
    } catch (error) {
      this.lose(error);
      return [];
    }
    for (const change of this.#gathered.takeChanges(this.#keys, clock.now() - clock.monotonic())) changes.push(change);
    changes.push({ key: tierMetaKey, value: this.#meta(false) });
    return changes;
  }

  #meta(isDiscarded: boolean): Uint8Array {
    return encodeTierMeta({ ...this.#deps.standing(), generations: this.#keys.generations, isDiscarded });
  }
}
