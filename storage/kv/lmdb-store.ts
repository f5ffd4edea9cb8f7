import { open, type RootDatabase } from "lmdb";
import { assert } from "../../core/assert.js";
import { ClosedError, DiskFullError, errorText, StoreError, WriteInDoubtError } from "../../core/errors.js";
import { systemClock } from "../../core/clock.js";
import { type Log, silentLog } from "../../core/log.js";
import { bootId } from "./boot-id.js";
import { DiskRoom, isDiskFull } from "./disk-room.js";
import { type FolderLock, lockFolder } from "./folder-lock.js";
import { syncFolder } from "./folder-sync.js";
import { holdsData, lmdbFile, lmdbFileFlaw, removeLmdbFiles, reserveLmdbFiles } from "./lmdb-file.js";
import { warnIfOpenToOthers } from "./open-to-others.js";
import { type BatchOptions, type ByteRange, type StoreChange, type OrderedStore, storeKeyBytesMax, type View } from "./ordered-store.js";
import { isUnsynced, UnsyncedFolder } from "./unsynced-folder.js";

/** Folder and durability of a store in LMDB. The durability of a folder never changes. */
export type LmdbStoreOptions = DurableOptions | UnsyncedOptions;

interface PlaceOptions {
  /** Created if it does not exist; no other store can use it until this store is closed. */
  readonly folder: string;
  readonly log?: Log;
}

interface DurableOptions extends PlaceOptions {
  readonly durable?: true;
}

/**
 * For data that can be fetched again: a batch costs no sync. If the store is open when the system goes down, or is
 * corrupted, it is empty at the next opening.
 */
interface UnsyncedOptions extends PlaceOptions {
  readonly durable: false;
  /** Id of this start of the system, for tests. Default: the system's. */
  readonly bootId?: string | undefined;
}

type Database = RootDatabase<Uint8Array, Uint8Array>;

/**
 * Opens the store in a folder. Rejects with InUseError when it has another owner, DiskFullError, or StoreError when it
 * cannot be used.
 */
export async function openLmdbStore(options: LmdbStoreOptions): Promise<OrderedStore> {
  const { folder, log = silentLog } = options;
  const lock = lockFolder(folder);
  try {
    const unsynced = options.durable === false ? UnsyncedFolder.open(folder, options.bootId ?? bootId(systemClock), log) : undefined;
    if (unsynced === undefined) checkDurableFolder(folder);
    reserveLmdbFiles(folder);
    const database: Database = open({
      path: folder,
      // Without this, lmdb-js takes a folder with a dot in its name for a file.
      noSubdir: false,
      keyEncoding: "binary",
      encoding: "binary",
      // If it were on, reads would see a batch before it is durable, and a cache would keep values of a transaction
      // that is rolled back.
      overlappingSync: false,
      cache: false,
      // If it were on, lmdb-js would create promises that nothing awaits: a failed batch would end the process.
      eventTurnBatching: false,
      noSync: unsynced !== undefined,
    });
    if (unsynced === undefined) syncFolder(folder);
    warnIfOpenToOthers(folder, log);
    return new LmdbStore(folder, database, { lock, unsynced, log });
  } catch (error) {
    lock.release();
    if (error instanceof StoreError || error instanceof DiskFullError) throw error;
    if (isDiskFull(error)) throw new DiskFullError({ folder, isEmpty: !holdsData(folder) }, error);
    throw new StoreError({ folder, reason: `cannot be opened (${errorText(error)})` }, error);
  }
}

/**
 * Removes the store in a folder, with any content: for a store that cannot even be written. Rejects with InUseError, or
 * an error of the file system.
 */
export async function removeLmdbStore(folder: string): Promise<void> {
  const lock = lockFolder(folder);
  try {
    removeLmdbFiles(folder);
    syncFolder(folder);
  } finally {
    lock.release();
  }
}

/** Throws StoreError. */
function checkDurableFolder(folder: string): void {
  if (isUnsynced(folder)) throw new StoreError({ folder, reason: "holds a store that is not durable; name another folder" });
  const flaw = lmdbFileFlaw(folder);
  if (flaw !== undefined) throw new StoreError({ folder, reason: flaw });
}

interface Deps {
  readonly lock: FolderLock;
  /** Undefined: each batch is synced. */
  readonly unsynced: UnsyncedFolder | undefined;
  readonly log: Log;
}

class LmdbStore implements OrderedStore {
  readonly path: string;
  readonly #database: Database;
  readonly #deps: Deps;
  readonly #view: View;
  readonly #room: DiskRoom;
  #batchesUnderWay = 0;
  #inDoubt = false;
  #closing: Promise<void> | undefined;

  constructor(path: string, database: Database, deps: Deps) {
    this.path = path;
    this.#database = database;
    this.#deps = deps;
    this.#view = lmdbView(database, path);
    this.#room = new DiskRoom(path, lmdbFile(path));
  }

  read<T>(use: (view: View) => T): T {
    if (this.#closing !== undefined) throw new ClosedError({ what: this.path });
    // lmdb-js keeps one read transaction until its next timer or commit, and neither can run between the reads of one
    // synchronous call.
    return use(this.#view);
  }

  batch(changes: readonly StoreChange[], options: BatchOptions = {}): Promise<void> | undefined {
    if (this.#closing !== undefined) return Promise.reject(new ClosedError({ what: this.path }));
    if (this.#inDoubt) return Promise.reject(new WriteInDoubtError({ folder: this.path }));
    if (changes.length === 0) return Promise.resolve();
    // All keys are checked first: if a put threw in the middle, the puts before it would stay queued.
    let bytes = 0;
    for (const { key, value } of changes) {
      assert(key.length > 0 && key.length <= storeKeyBytesMax, "a key of a store has 1 to 1,978 bytes");
      bytes += key.length + (value?.length ?? 0);
    }
    // The owner handles it as a write that failed: it opens the store again, and tries until there is room.
    if (!this.#room.fits({ bytes, keys: changes.length })) return this.#doubt(new DiskFullError({ folder: this.path, isEmpty: false }));
    // A synchronous write blocks the process for one sync but saves the hand-over to the write thread. While another
    // batch is being written, it would block until that batch ends.
    return options.alone === true && this.#batchesUnderWay === 0 ? this.#writeNow(changes) : this.#write(changes);
  }

  #writeNow(changes: readonly StoreChange[]): Promise<void> | undefined {
    try {
      this.#database.transactionSync(() => this.#putAll(changes));
    } catch (error) {
      return this.#doubt(error);
    }
    this.#database.resetReadTxn();
    return undefined;
  }

  async #write(changes: readonly StoreChange[]): Promise<void> {
    this.#batchesUnderWay += 1;
    try {
      await this.#database.batch(() => this.#putAll(changes));
      // The next view must be a new one: promise 3 relies on this line, not on the time at which lmdb-js renews its
      // transaction.
      this.#database.resetReadTxn();
    } catch (error) {
      await this.#doubt(error);
    } finally {
      this.#batchesUnderWay -= 1;
    }
  }

  #putAll(changes: readonly StoreChange[]): void {
    const database = this.#database;
    for (const { key, value } of changes) {
      if (value === undefined) void database.remove(key);
      else void database.put(key, value);
    }
  }

  async #doubt(error: unknown): Promise<never> {
    this.#inDoubt = true;
    const cause = await commitErrorOf(error);
    this.#deps.log.error({ folder: this.path, error: errorText(cause) }, "write in doubt");
    throw new WriteInDoubtError({ folder: this.path }, cause);
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    const { lock, unsynced } = this.#deps;
    try {
      await this.#database.close();
      await unsynced?.close();
    } finally {
      lock.release();
    }
  }
}

function lmdbView(database: Database, folder: string): View {
  return {
    get: (key) => {
      let bytes: Uint8Array | undefined;
      try {
        bytes = database.getBinaryFast(key);
      } catch (error) {
        throw new StoreError({ folder, reason: `cannot be read (${errorText(error)})` }, error);
      }
      // The bytes lie in a buffer that the next read overwrites.
      if (bytes === undefined) return undefined;
      const copy = Buffer.allocUnsafe(bytes.length);
      copy.set(bytes.subarray(0, bytes.length));
      return copy;
    },
    range: (range) => entries(database, folder, range),
  };
}

function* entries(
  database: Database,
  folder: string,
  { from, to, reverse = false }: ByteRange,
): Generator<readonly [Uint8Array, Uint8Array]> {
  if (Buffer.compare(from, to) >= 0) return;
  const options = reverse ? { start: to, exclusiveStart: true, end: from, inclusiveEnd: true, reverse: true } : { start: from, end: to };
  try {
    for (const { key, value } of database.getRange(options)) yield [key, value];
  } catch (error) {
    throw new StoreError({ folder, reason: `cannot be read (${errorText(error)})` }, error);
  }
}

/**
 * lmdb-js rejects a batch with an error that holds the promise of the actual error; without a handler, that promise
 * would end the process.
 */
async function commitErrorOf(error: unknown): Promise<unknown> {
  if (!(error instanceof Error) || !("commitError" in error)) return error;
  try {
    await error.commitError;
    return error;
  } catch (commitError) {
    return commitError;
  }
}
