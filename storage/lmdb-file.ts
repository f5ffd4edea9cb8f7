import { closeSync, existsSync, fstatSync, openSync, readSync, rmSync } from "node:fs";
import { join } from "node:path";

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

/** Removes LMDB's files from `folder`, which nobody has open. */
export function removeLmdbFiles(folder: string): void {
  for (const name of ["data.mdb", "lock.mdb"]) rmSync(join(folder, name), { force: true });
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
