import { closeSync, constants, existsSync, fstatSync, fsyncSync, openSync, readSync, rmSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { checkRoomForNewStore } from "./disk-room.js";

/**
 * Offsets in the meta pages of lmdb-js 3.5 (LMDB's data version 2, 64 bits, little-endian): the first two pages of the
 * file.
 */
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

/** Path of LMDB's data file in a folder. */
export function lmdbFile(folder: string): string {
  return join(folder, "data.mdb");
}

/**
 * Reason why LMDB's file in `folder` cannot be used although LMDB would accept it; undefined: it can be used, or does
 * not exist.
 * Call it before opening: lmdb-js maps the file, and access to a page that is missing in the file is a signal that
 * kills the process, not an error.
 */
export function lmdbFileFlaw(folder: string): string | undefined {
  const path = lmdbFile(folder);
  if (!existsSync(path)) return undefined;
  const file = openSync(path, "r");
  try {
    const { size } = fstatSync(file);
    // An empty file is a store that is being created.
    if (size === 0) return undefined;
    const first = readMeta(file, 0);
    const second = first === undefined ? undefined : readMeta(file, first.pageBytes);
    if (first === undefined || second === undefined) return "is corrupted: data.mdb is not a file of this LMDB";
    const latest = first.txn > second.txn ? first : second;
    if (size < (Number(latest.lastPage) + 1) * latest.pageBytes) return "is corrupted: data.mdb is shorter than its header says";
    return undefined;
  } finally {
    closeSync(file);
  }
}

/** Only the owner can access the data, for any umask. */
export const ownFileMode = 0o600;
export const ownFolderMode = 0o700;

/** Whether `folder` holds a store. */
export function holdsData(folder: string): boolean {
  return (statSync(lmdbFile(folder), { throwIfNoEntry: false })?.size ?? 0) > 0;
}

/**
 * Initial size of LMDB's lock file: larger than the size that LMDB requires, because LMDB would extend a smaller file
 * with a hole.
 */
const lockBytes = 16 * 1024;

/**
 * Creates LMDB's missing files in `folder`, which the caller owns, and fills the holes of the lock file. Call it before
 * opening: LMDB maps the lock file for writing, and when a hole cannot be filled because the disk is full, a signal
 * kills the process. Throws DiskFullError, or an error of the file system.
 */
export function reserveLmdbFiles(folder: string): void {
  if (!holdsData(folder)) checkRoomForNewStore(folder);
  const lock = openSync(join(folder, "lock.mdb"), constants.O_RDWR | constants.O_CREAT, ownFileMode);
  try {
    const { size, blocks } = fstatSync(lock);
    if (size < lockBytes || blocks * statBlockBytes < size) {
      const bytes = Buffer.alloc(Math.max(size, lockBytes));
      readSync(lock, bytes, 0, size, 0);
      // A size limit can cut a write short; the next write then fails with the error.
      for (let written = 0; written < bytes.length;) written += writeSync(lock, bytes, written, bytes.length - written, written);
      fsyncSync(lock);
    }
  } finally {
    closeSync(lock);
  }
  closeSync(openSync(lmdbFile(folder), constants.O_RDWR | constants.O_CREAT, ownFileMode));
}

/** Unit of `blocks` of a file, independent of the block size of the file system. */
const statBlockBytes = 512;

/** Names of LMDB's files in a folder. */
export const lmdbFiles: readonly string[] = ["data.mdb", "lock.mdb"];

/** Removes LMDB's files from `folder`, which no process has open. */
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
