import { closeSync, constants, existsSync, fstatSync, fsyncSync, openSync, readSync, rmSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { checkRoomToBegin } from "./disk-room.js";

/** Where things stand in the meta pages of lmdb-js 3.5 (LMDB's data version 2, 64 bits, little-endian): the first two pages of the file. */
const meta = {
  magicAt: 24,
  magic: 0xbeefc0de,
  versionAt: 28,
  version: 2,
  pageBytesAt: 48,
  lastPageAt: 144,
  txnAt: 152,
  bytes: 160,
} as const;

/** LMDB's file of a folder. */
export function lmdbFile(folder: string): string {
  return join(folder, "data.mdb");
}

/**
 * Why LMDB's file in `folder` cannot be used, though LMDB would take it for one of its own; undefined: it can, or is not there.
 * It must be asked before opening: lmdb-js maps the file, and what is not there when a page says so is a signal that kills the
 * process, not an error.
 */
export function lmdbFileFlaw(folder: string): string | undefined {
  const path = lmdbFile(folder);
  if (!existsSync(path)) return undefined;
  const file = openSync(path, "r");
  try {
    const { size } = fstatSync(file);
    // An empty one is a store that is about to be made.
    if (size === 0) return undefined;
    const first = readMeta(file, 0);
    const second = first === undefined ? undefined : readMeta(file, first.pageBytes);
    if (first === undefined || second === undefined) return "is corrupted: data.mdb is not a file of this LMDB";
    const latest = first.txn > second.txn ? first : second;
    if (size < (Number(latest.lastPage) + 1) * latest.pageBytes) return "is corrupted: data.mdb is shorter than it says";
    return undefined;
  } finally {
    closeSync(file);
  }
}

/** Data is for its owner alone, whatever the umask allows. */
export const ownFileMode = 0o600;
export const ownFolderMode = 0o700;

/** Whether a store was begun in `folder`. */
export function holdsData(folder: string): boolean {
  return (statSync(lmdbFile(folder), { throwIfNoEntry: false })?.size ?? 0) > 0;
}

/** What LMDB's lock file is made as: more than LMDB asks for, which would extend it by a hole. */
const lockBytes = 16 * 1024;

/**
 * Makes LMDB's files in `folder`, which the caller owns, where they are not there, and fills the holes of the lock file. It must be
 * called before opening: LMDB maps the lock file to write in it, and where a hole cannot be filled, because the disk is full, that is
 * a signal that kills the process. Throws DiskFullError, or as the file system does.
 */
export function reserveLmdbFiles(folder: string): void {
  if (!holdsData(folder)) checkRoomToBegin(folder);
  const lock = openSync(join(folder, "lock.mdb"), constants.O_RDWR | constants.O_CREAT, ownFileMode);
  try {
    const { size, blocks } = fstatSync(lock);
    if (size < lockBytes || blocks * statBlockBytes < size) {
      const bytes = Buffer.alloc(Math.max(size, lockBytes));
      readSync(lock, bytes, 0, size, 0);
      // A limit can end a write before its end, and the next one says so.
      for (let written = 0; written < bytes.length;) written += writeSync(lock, bytes, written, bytes.length - written, written);
      fsyncSync(lock);
    }
  } finally {
    closeSync(lock);
  }
  closeSync(openSync(lmdbFile(folder), constants.O_RDWR | constants.O_CREAT, ownFileMode));
}

/** Unit of `blocks` of a file, whatever the file system's blocks are. */
const statBlockBytes = 512;

/** Names of the files that LMDB keeps in a folder. */
export const lmdbFiles: readonly string[] = ["data.mdb", "lock.mdb"];

/** Removes LMDB's files from `folder`, which nobody has open. */
export function removeLmdbFiles(folder: string): void {
  for (const name of lmdbFiles) rmSync(join(folder, name), { force: true });
}

interface Meta {
  readonly pageBytes: number;
  readonly lastPage: bigint;
  readonly txn: bigint;
}

function readMeta(file: number, at: number): Meta | undefined {
  const bytes = Buffer.alloc(meta.bytes);
  if (readSync(file, bytes, 0, meta.bytes, at) < meta.bytes) return undefined;
  if (bytes.readUInt32LE(meta.magicAt) !== meta.magic || bytes.readUInt32LE(meta.versionAt) !== meta.version) return undefined;
  return {
    pageBytes: bytes.readUInt32LE(meta.pageBytesAt),
    lastPage: bytes.readBigUInt64LE(meta.lastPageAt),
    txn: bytes.readBigUInt64LE(meta.txnAt),
  };
}
