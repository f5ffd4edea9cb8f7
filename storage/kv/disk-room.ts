import { statfsSync } from "node:fs";
import { constants } from "node:os";
import { DiskFullError } from "../../core/errors.js";
import { limits } from "../../core/limits.js";

/** Error codes for a full disk, an exhausted quota, or the size limit of files. */
const fullCodes: ReadonlySet<unknown> = new Set([
  "ENOSPC",
  "EDQUOT",
  "EFBIG",
  constants.errno.ENOSPC,
  constants.errno.EDQUOT,
  constants.errno.EFBIG,
]);

/** Whether `error`, from Node or from LMDB, means that there is no space left. */
export function isOfFullDisk(error: unknown): boolean {
  return error instanceof Error && "code" in error && fullCodes.has(error.code);
}

/**
 * Throws DiskFullError when the disk has too little space to create a store in `folder`, which exists and holds no
 * store.
 */
export function checkRoomToBegin(folder: string): void {
  let freeBytes: number;
  try {
    const { bavail, bsize } = statfsSync(folder);
    freeBytes = bavail * bsize;
  } catch {
    // Not every file system reports its free space. A write will then fail.
    return;
  }
  if (freeBytes < limits.diskFreeBytesMin) throw new DiskFullError({ folder, isEmpty: true });
}
