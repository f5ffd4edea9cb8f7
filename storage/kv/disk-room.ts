import { statfsSync, statSync } from "node:fs";
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
  if (freeBytes(folder) < limits.diskFreeBytesMin) throw new DiskFullError({ folder, isEmpty: true });
}

/** Room that is left on the disk. A new store needs more, so that it can be written once it is there. */
const leftBytesMin = limits.diskFreeBytesMin / 2;
/** The disk is looked at again after this many writes, or this many bytes: they fit into the room that is left. */
const writesPerLook = 4;
const bytesPerLook = leftBytesMin / 4;
const pageBytes = 4096;

/**
 * The room that the disk of a store has left, looked at now and then, which costs about 1 µs.
 *
 * A write must not fail within LMDB when that can be foreseen: LMDB 3.5 then prints to standard error and writes past
 * the end of a buffer, so that the process may be aborted. A quota and a limit on the size of files are not seen here.
 */
export class DiskRoom {
  readonly #folder: string;
  readonly #file: string;
  #writesLeft = 0;
  #bytesLeft = 0;

  /** `file`: the file of the store in `folder`, which grows. */
  constructor(folder: string, file: string) {
    this.#folder = folder;
    this.#file = file;
  }

  /**
   * Whether there is room for a write of `bytes` bytes in `keys` keys. LMDB copies the page of each key that changes,
   * so that keys far apart need a page each, but no more than the store has.
   */
  fits({ bytes, keys }: { readonly bytes: number; readonly keys: number }): boolean {
    const pages = keys * pageBytes;
    this.#writesLeft -= 1;
    this.#bytesLeft -= bytes + pages;
    if (this.#writesLeft >= 0 && this.#bytesLeft >= 0) return true;
    this.#writesLeft = writesPerLook - 1;
    this.#bytesLeft = bytesPerLook;
    const room = freeBytes(this.#folder) - leftBytesMin - 2 * bytes;
    return room >= pages || room >= fileBytes(this.#file);
  }
}

/** Infinity where the file system does not report its free space: a write then fails when there is none. */
function freeBytes(folder: string): number {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  } catch {
    return Infinity;
  }
}

function fileBytes(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}
