import { statfsSync } from "node:fs";
import { constants } from "node:os";
import { DiskFullError } from "../../core/errors.js";
import { limits } from "../../core/limits.js";

/** Codes of errors that say that a disk, a quota or a limit on files is full. */
const fullCodes: ReadonlySet<unknown> = new Set([
  "ENOSPC",
  "EDQUOT",
  "EFBIG",
  constants.errno.ENOSPC,
  constants.errno.EDQUOT,
  constants.errno.EFBIG,
]);

/** Whether `error`, of Node or of LMDB, says that there is no room. */
export function isOfFullDisk(error: unknown): boolean {
  return error instanceof Error && "code" in error && fullCodes.has(error.code);
}

/** Throws DiskFullError when there is too little room to begin a store in `folder`, which is there and has none. */
export function checkRoomToBegin(folder: string): void {
  let freeBytes: number;
  try {
    const { bavail, bsize } = statfsSync(folder);
    freeBytes = bavail * bsize;
  } catch {
    // Not every file system tells. Writing will show it.
    return;
  }
  if (freeBytes < limits.diskFreeBytesMin) throw new DiskFullError({ folder, isEmpty: true });
}
