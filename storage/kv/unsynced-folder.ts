import { closeSync, constants, existsSync, fsyncSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { type Log, StoreError } from "../../core/index.js";
import { syncFolder } from "./folder-sync.js";
import { lmdbFile, lmdbFileFlaw, ownFileMode, removeLmdbFiles } from "./lmdb-file.js";

/** Content of the mark when all data is synced. */
const closed = "closed";

/**
 * A folder of LMDB that is not synced while it is open. The file `boot` beside the data is its mark: the boot id while
 * it is open, "closed" otherwise.
 *
 *     1. The mark is on disk before LMDB writes anything, and becomes "closed" only after all data is synced.
 *     2. Any other mark, from another start of the system or torn, means that the folder was open when the system went
 *        down. Its data is not trusted and is removed before LMDB, which may crash on it, opens the folder.
 *     3. Data is removed only beside such a mark: data without a mark is durable, and its owner relies on it.
 */
export class UnsyncedFolder {
  readonly #folder: string;
  readonly #log: Log;

  private constructor(folder: string, log: Log) {
    this.#folder = folder;
    this.#log = log;
  }

  /**
   * Prepares `folder`, which the caller owns: afterwards it holds data that LMDB can open, or none. Throws StoreError
   * when it holds a durable store.
   */
  static open(folder: string, bootId: string, log: Log): UnsyncedFolder {
    const mark = readMark(folder);
    if (mark === undefined && existsSync(lmdbFile(folder))) {
      throw new StoreError({ folder, reason: "holds a store that is durable; name another folder" });
    }
    const isTrusted = mark === undefined || mark === closed || mark === bootId;
    const flaw = isTrusted ? lmdbFileFlaw(folder) : "was left open when the system went down";
    if (flaw !== undefined) {
      removeLmdbFiles(folder);
      log.warn({ folder, reason: flaw }, "store discarded at opening");
    }
    writeMark(folder, bootId);
    return new UnsyncedFolder(folder, log);
  }

  /** Call it after LMDB has closed its file. Never rejects: data that cannot be synced stays marked as open. */
  async close(): Promise<void> {
    try {
      const file = await open(lmdbFile(this.#folder), "r+");
      try {
        await file.sync();
      } finally {
        await file.close();
      }
      syncFolder(this.#folder);
      writeMark(this.#folder, closed);
    } catch (error) {
      this.#log.warn({ folder: this.#folder, error }, "store cannot be synced and will be lost when the system goes down");
    }
  }
}

/** Whether `folder` was ever opened with `durable: false`. */
export function isUnsynced(folder: string): boolean {
  return existsSync(markFile(folder));
}

function readMark(folder: string): string | undefined {
  return isUnsynced(folder) ? readFileSync(markFile(folder), "utf8") : undefined;
}

/** Durable when it returns. */
function writeMark(folder: string, text: string): void {
  // The file is not truncated first: on a full disk existing bytes can be overwritten, but no new ones written.
  const file = openSync(markFile(folder), constants.O_RDWR | constants.O_CREAT, ownFileMode);
  try {
    writeSync(file, text, 0);
    ftruncateSync(file, Buffer.byteLength(text));
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  syncFolder(folder);
}

function markFile(folder: string): string {
  return join(folder, "boot");
}
