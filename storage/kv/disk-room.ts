import { statfsSync, statSync } from "node:fs";
import { constants } from "node:os";
import { DiskFullError, limits } from "../../core/index.js";

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
export function isDiskFull(error: unknown): boolean {
  return error instanceof Error && "code" in error && fullCodes.has(error.code);
}

/**
 * Throws DiskFullError when the disk has too little space to create a store in `folder`, which exists and holds no
 * store.
 */
export function checkRoomForNewStore(folder: string): void {
  if (freeBytes(folder) < limits.diskFreeBytesMin) throw new DiskFullError({ folder, isEmpty: true });
}

/** Free space that writes must leave on the disk. A new store needs more, so that it has room for its first writes. */
const leftBytesMin = limits.diskFreeBytesMin / 2;
/** The free space is read again after this many writes, or this many bytes: they fit into `leftBytesMin`. */
const writesPerLook = 4;
const bytesPerLook = leftBytesMin / 4;
const pageBytes = 4096;

/**
 * The free space on the disk of a store. It is read before some of the writes; one reading costs about 1 µs.
 *
 * A write to a full disk must be refused before LMDB tries it: LMDB 3.5 then prints to standard error and writes past
 * the end of a buffer, so that the process may be aborted. Quotas and limits on the size of files are not noticed here.
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
   * Whether there is room for a write of `bytes` bytes in `keys` keys. LMDB copies the page of each changed key. Keys
   * far apart need a page each, but all together no more pages than the store has.
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

/** Infinity if the file system does not report its free space: then only LMDB notices a full disk. */
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
