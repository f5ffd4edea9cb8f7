import type { Clock } from "../../core/clock.js";
import { WriteInDoubtError } from "../../core/errors.js";
import type { Log } from "../../core/log.js";
import type { Tag } from "../../core/tag.js";
import type { DiskEntry } from "./disk-entry.js";
import { encodeTierMeta, RecordKeys, type TierMeta, tierMetaKey } from "./entry-records.js";
import type { QueuedInvalidation } from "./entry-store.js";
import { PendingWrites } from "./pending-writes.js";
import { giveUp } from "../kv/failed-store.js";
import { Leftovers } from "./leftovers.js";
import type { StoreChange, OpenStore, OrderedStore } from "../kv/ordered-store.js";
import { WriteBehind } from "../kv/write-behind.js";

/** What the disk of a tier needs of its surroundings. */
export interface TierDiskDeps {
  readonly name: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Opens the store again, once it was closed. */
  readonly open: OpenStore;
  /** Takes all that the store holds out of the way, when it is not open, and not even a mark can be written into it. */
  readonly remove?: (() => Promise<void>) | undefined;
  /** How the tier stands: written with each batch. */
  readonly standing: () => Omit<TierMeta, "generations" | "isDiscarded">;
  /** Nothing is read from it, or written to it, any more. */
  readonly lost: () => void;
}

/**
 * The disk of a tier: what changes is gathered and written behind, one batch in the air, and each batch has beside it how the tier
 * stands. What a kill leaves is how it all stood at one moment.
 *
 * A batch that fails ends it. Its last durable state is whole, for a batch is atomic; but what became stale since is not in it, so
 * that it is marked, or removed, and nothing of it is used again.
 */
export class TierDisk {
  readonly #deps: TierDiskDeps;
  readonly #gathered = new PendingWrites();
  readonly #leftovers: Leftovers;
  readonly #writer: WriteBehind;
  #keys: RecordKeys;
  /** Undefined once it is lost, or closed. */
  #store: OrderedStore | undefined;
  /** It was lost. Resolves to whether nothing that it holds is used again. */
  #givingUp: Promise<boolean> | undefined;

  /** `spoilt`: keys in `store` of what is to be removed. */
  constructor(deps: TierDiskDeps, store: OrderedStore, { keys, spoilt }: { keys: RecordKeys; spoilt: readonly Uint8Array[] }) {
    this.#deps = deps;
    this.#store = store;
    this.#keys = keys;
    this.#leftovers = new Leftovers(store, spoilt, keys);
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

  /** It can be read and written. */
  get isThere(): boolean {
    return this.#store !== undefined;
  }

  /** Bytes of entries that are not on it yet. */
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

  /** Undefined: it goes, here and below. */
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

  /** All entries go, whatever their number, at once. */
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

  /** The tier stands elsewhere. */
  moved(): void {
    this.#writer.changed();
  }

  /**
   * Resolves when all up to now is on it; once it is lost, when nothing of it is used again.
   * Rejects with WriteInDoubtError when even that could not be had, and with ClosedError.
   */
  async flush(): Promise<void> {
    try {
      await this.#writer.flush();
    } catch (error) {
      if ((await this.#givingUp) !== true) throw error;
    }
  }

  /** Flushes it first. Never rejects for what was lost. */
  async close(): Promise<void> {
    // What cannot be written was logged when it was lost.
    await this.#writer.flush().catch(() => undefined);
    await this.#writer.end();
    const store = this.#store;
    this.#store = undefined;
    await store?.close();
    await this.#givingUp;
  }

  /** Goes on without it. */
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
