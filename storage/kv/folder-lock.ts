import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { tryLock } from "fs-native-extensions";
import { DiskFullError, InUseError, StoreError } from "../../core/errors.js";
import { isDiskFull } from "./disk-room.js";
import { holdsData, ownFileMode } from "./lmdb-file.js";
import { makeFolder } from "./make-folder.js";

/** Name of the file in a folder that the owner of the folder locks. Any process that can read the file can lock it. */
export const ownerLockFile = "owner.lock";

/** Ownership of a folder. It is a lock of the kernel, so it ends with the process, even when the process is killed. */
export interface FolderLock {
  /** Releases the folder. Idempotent. */
  release(): void;
}

/**
 * Creates `folder` if needed and locks it. Throws InUseError when another owner has it, StoreError when it cannot be
 * written, DiskFullError.
 */
export function lockFolder(folder: string): FolderLock {
  let file: number;
  try {
    makeFolder(folder);
    // The file stays after the release: if it were removed, two owners could lock two files with the same name.
    file = openSync(join(folder, ownerLockFile), "a", ownFileMode);
  } catch (error) {
    if (isDiskFull(error)) throw new DiskFullError({ folder, isEmpty: !holdsData(folder) }, error);
    throw new StoreError({ folder, reason: `cannot be written (${reasonOf(error)})` }, error);
  }
  let granted: boolean;
  try {
    granted = tryLock(file);
  } catch (error) {
    closeSync(file);
    throw new StoreError({ folder, reason: `cannot be locked (${reasonOf(error)})` }, error);
  }
  if (!granted) {
    closeSync(file);
    throw new InUseError({ folder });
  }
  let held = true;
  return {
    release: () => {
      if (!held) return;
      held = false;
      closeSync(file);
    },
  };
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? ((error as NodeJS.ErrnoException).code ?? error.message) : String(error);
}
