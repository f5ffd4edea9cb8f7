import { closeSync, constants, existsSync, fsyncSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { StoreError } from "../../core/errors.js";
import type { Log } from "../../core/log.js";
import { syncFolder } from "./folder-sync.js";
import { lmdbFile, lmdbFileFlaw, ownFileMode, removeLmdbFiles } from "./lmdb-file.js";

/** What the mark says when all beside it was synced. */
const closed = "closed";

/**
 * A folder of LMDB that is not synced while it is open. The file `boot` beside the data is its mark: the boot id while it is
 * open, else "closed".
 *
 *     1. The mark is on disk before LMDB writes anything, and says "closed" only after all else was synced.
 *     2. A mark that says anything else, of another start of the system or torn itself, means: left open when the system went
 *        down. Nothing beside it is trusted, and LMDB, which may crash on it, never sees it.
 *     3. Only what such a mark stands beside is ever thrown away: data without one is somebody's who counts on it.
 */
export class UnsyncedFolder {
  readonly #folder: string;
  readonly #log: Log;

  private constructor(folder: string, log: Log) {
    this.#folder = folder;
    this.#log = log;
  }

  /** Leaves in `folder`, which the caller owns, what LMDB can open, or nothing. Throws StoreError when it holds a durable store. */
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

  /** To be called when LMDB has closed its file. Never rejects: what cannot be synced stays marked as open. */
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
      this.#log.warn({ folder: this.#folder, error }, "store cannot be synced, it is good until the system goes down");
    }
  }
}

/** Whether `folder` was ever opened as one without syncs. */
export function isUnsynced(folder: string): boolean {
  return existsSync(markFile(folder));
}

function readMark(folder: string): string | undefined {
  return isUnsynced(folder) ? readFileSync(markFile(folder), "utf8") : undefined;
}

/** Durable when it returns. */
function writeMark(folder: string, text: string): void {
  // Not cut to nothing first: on a full disk the bytes that are there can be written over, new ones not.
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
