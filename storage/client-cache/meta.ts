import { asBuffer, decodeList, encodeMessage, isTid, type Position, type Tid } from "../../core/index.js";

/** Meta record of a cache on disk. Every batch writes it, so that it is never ahead of the entries it covers. */
export interface CacheMeta {
  readonly realm: string;
  readonly storage: string;
  /** All invalidations up to it are applied to the entries. */
  readonly position: Position;
  /** No entry has a later as-of than this. */
  readonly asOf: Position;
  /** A write failed: the entries must not be used. */
  readonly isDiscarded: boolean;
}

/*
 * Layout of a client cache: 0 "client-cache": the meta record; 1 <key>: the current revision of a key.
 */
export const cacheMetaKey: Uint8Array = Buffer.from("\u0000client-cache");
export const cacheEntries = { from: Uint8Array.of(1), to: Uint8Array.of(2) } as const;

const formatVersion = 2;

export function cacheEntryKey(key: string): Uint8Array {
  return Buffer.from(`\u0001${key}`);
}

export function keyOfCacheEntry(bytes: Uint8Array): string {
  return asBuffer(bytes).toString("utf8", 1);
}

export function encodeCacheMeta({ realm, storage, position, asOf, isDiscarded }: CacheMeta): Uint8Array {
  return encodeMessage([formatVersion, realm, storage, position.tid, position.digest, asOf.tid, asOf.digest, isDiscarded]);
}

/** Undefined: written in another format, or incomplete. */
export function decodeCacheMeta(bytes: Uint8Array): CacheMeta | undefined {
  const fields = decodeList(bytes);
  if (fields?.length !== 8 || fields[0] !== formatVersion) return undefined;
  const [, realm, storage, tid, digest, asOfTid, asOfDigest, isDiscarded] = fields;
  if (typeof realm !== "string" || typeof storage !== "string" || typeof isDiscarded !== "boolean") return undefined;
  const position = asPosition(tid, digest);
  const asOf = asPosition(asOfTid, asOfDigest);
  if (position === undefined || asOf === undefined) return undefined;
  return { realm, storage, position, asOf, isDiscarded };
}

function asPosition(tid: unknown, digest: unknown): Position | undefined {
  return isTid(tid) && typeof digest === "string" ? { tid: tid satisfies Tid, digest } : undefined;
}
