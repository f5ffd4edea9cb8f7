import { hash } from "node:crypto";
import { asBuffer, assert, emptyPosition, type KeyRange, type LoggedTransaction, type Position, type Tid } from "../../core/index.js";
import type { ByteRange } from "../kv/ordered-store.js";

/*
 * Layout of an object store. Record keys begin with a letter:
 *
 *   f <id>                 fence: the last tid when it was written
 *   h <key> NUL <tid>      older revision: tid of the next one, 1 if there is a value, the value
 *   k <tid> <part>         keys of a transaction, from its second part on
 *   l <tid>                log: previous tid, digest, place in the history, count of keys, id, first part of the keys
 *   m <name>               format, position, floors
 *   o <key>                current revision: its tid, 1 if there is a value (0: deleted), the value
 *
 * Numbers are big-endian and tids have 8 bytes, so that the order of bytes is the order of tids. NUL sorts before all
 * characters that a key may contain.
 */

/** Incremented with every change of the layout; a folder with another layout is refused. */
export const formatVersion = 3;

const letter = { fence: 0x66, history: 0x68, keys: 0x6b, log: 0x6c, meta: 0x6d, object: 0x6f } as const;
const tidBytes = 8;
const digestBytes = 8;
const twoTo32 = 0x1_0000_0000;

/** Keys in one part of a log record: parts are read one at a time. */
export const keysPerPart = 1_000;

// ---- Keys

/** Record key of a record that exists once. */
export const metaKey = (name: "format" | "position" | "historyFloor" | "fenceFloor"): Buffer => textKey(letter.meta, name);
/** Record key of a fence. */
export const fenceKey = (id: string): Buffer => textKey(letter.fence, id);
/** Record key of a current revision. */
export const objectKey = (key: string): Buffer => textKey(letter.object, key);
/** Record key of a transaction in the log. */
export const logKey = (tid: Tid): Buffer => tidKey(letter.log, tid, 0);

/** Record key of part `part` of a transaction's keys, from 1 on. */
export function keysKey(tid: Tid, part: number): Buffer {
  const bytes = tidKey(letter.keys, tid, 4);
  bytes.writeUInt32BE(part, 1 + tidBytes);
  return bytes;
}

/** Record key of the revision of `key` with serial `tid`. */
export function historyKey(key: string, tid: Tid): Buffer {
  const keyBytes = Buffer.byteLength(key);
  const bytes = Buffer.allocUnsafe(2 + keyBytes + tidBytes);
  bytes[0] = letter.history;
  bytes.write(key, 1);
  bytes[1 + keyBytes] = 0;
  writeTid(bytes, tid, 2 + keyBytes);
  return bytes;
}

/** Text after the letter in a record key: the key of an object, or the id of a fence. */
export function textOfKey(bytes: Uint8Array): string {
  return textOf(bytes, 1, bytes.length);
}

/** Serial in a record key of the history. */
export function serialOfHistory(bytes: Uint8Array): Tid {
  return readTid(bytes, bytes.length - tidBytes);
}

/** Objects in a range of keys. */
export function objectsIn(range: KeyRange): ByteRange {
  return { from: objectKey(range.from), to: range.to === undefined ? Buffer.of(letter.object + 1) : objectKey(range.to) };
}

/** Older revisions of `key` with serials from `from` (included) to `to` (not included). */
export function revisionsOf(key: string, from: Tid, to: Tid): ByteRange {
  return { from: historyKey(key, from), to: historyKey(key, to) };
}

/** Log records from `from` (included). */
export function logFrom(from: Tid): ByteRange {
  return { from: logKey(from), to: Buffer.of(letter.log + 1) };
}

/** Every fence. */
export const allFences: ByteRange = { from: Buffer.of(letter.fence), to: Buffer.of(letter.fence + 1) };

function textKey(first: number, text: string): Buffer {
  const bytes = Buffer.allocUnsafe(1 + Buffer.byteLength(text));
  bytes[0] = first;
  bytes.write(text, 1);
  return bytes;
}

function tidKey(first: number, tid: Tid, spare: number): Buffer {
  const bytes = Buffer.allocUnsafe(1 + tidBytes + spare);
  bytes[0] = first;
  writeTid(bytes, tid, 1);
  return bytes;
}

// ---- Revisions. A current one contains its own tid. An older one contains the tid of the next; its own is in its key.

/** Bytes before the value in the record of a revision. */
const revisionHeaderBytes = tidBytes + 1;

/** Record of a revision; `value` undefined is a deletion. */
export function encodeRevision(tid: Tid, value: Uint8Array | undefined): Buffer {
  const bytes = Buffer.allocUnsafe(revisionHeaderBytes + (value?.length ?? 0));
  writeTid(bytes, tid, 0);
  bytes[tidBytes] = value === undefined ? 0 : 1;
  if (value !== undefined) bytes.set(value, revisionHeaderBytes);
  return bytes;
}

/** The same value with another tid: a current revision becomes history. */
export function withTid(revision: Uint8Array, tid: Tid): Buffer {
  const bytes = Buffer.allocUnsafe(revision.length);
  bytes.set(revision);
  writeTid(bytes, tid, 0);
  return bytes;
}

/** The tid in the record: its own tid for a current revision, the tid of the next revision for an older one. */
export function tidOfRevision(revision: Uint8Array): Tid {
  return readTid(revision, 0);
}

/** False: the record is a deletion. */
export function isLive(revision: Uint8Array): boolean {
  return revision[tidBytes] === 1;
}

/** The value, in the bytes of the record; undefined: deleted. */
export function valueOfRevision(revision: Uint8Array): Uint8Array | undefined {
  return isLive(revision) ? revision.subarray(revisionHeaderBytes) : undefined;
}

// ---- Position

/** Position with counts up to it. */
export interface PositionRecord extends Position {
  /** Number of objects that exist. */
  readonly objects: number;
  /** Number of transactions of the whole history, including pruned ones. */
  readonly transactions: number;
  /** Wall clock of the server when the last transaction was written, milliseconds since 1970. */
  readonly wallMs: number;
}

/** Position of a storage without transactions. */
export const emptyHistory: PositionRecord = { ...emptyPosition, objects: 0, transactions: 0, wallMs: 0 };

/** Record of a position. */
export function encodePosition(position: PositionRecord): Buffer {
  const bytes = Buffer.allocUnsafe(tidBytes + digestBytes + 24);
  writeTid(bytes, position.tid, 0);
  bytes.write(position.digest, tidBytes, "hex");
  bytes.writeDoubleBE(position.objects, tidBytes + digestBytes);
  bytes.writeDoubleBE(position.transactions, tidBytes + digestBytes + 8);
  bytes.writeDoubleBE(position.wallMs, tidBytes + digestBytes + 16);
  return bytes;
}

/** The position in its record. */
export function decodePosition(bytes: Uint8Array): PositionRecord {
  const buffer = asBuffer(bytes);
  return {
    tid: readTid(bytes, 0),
    digest: digestAt(buffer, tidBytes),
    objects: buffer.readDoubleBE(tidBytes + digestBytes),
    transactions: buffer.readDoubleBE(tidBytes + digestBytes + 8),
    wallMs: buffer.readDoubleBE(tidBytes + digestBytes + 16),
  };
}

/** Digest of a history that ends with transaction `id` at `tid`, after one with digest `digest`. */
export function digestAfter(digest: string, id: string, tid: Tid): string {
  // The id comes last, so that no part of it can be mistaken for another field.
  return hash("sha256", `${digest} ${tid} ${id}`, "hex").slice(0, 2 * digestBytes);
}

// ---- Tids by themselves

/** Record of a tid by itself. */
export function encodeTid(tid: Tid): Buffer {
  const bytes = Buffer.allocUnsafe(tidBytes);
  writeTid(bytes, tid, 0);
  return bytes;
}

/** The tid at the beginning of a record. */
export function decodeTid(bytes: Uint8Array): Tid {
  return readTid(bytes, 0);
}

// ---- Log

/** Content of a log record without its keys. */
export interface LogHead extends Omit<LoggedTransaction, "keys"> {
  /**
   * Place in the history: the first transaction has 1. The difference of two places is the number of transactions from
   * one to the other.
   */
  readonly place: number;
  readonly keyCount: number;
}

const placeStart = tidBytes + digestBytes;
const keyCountStart = placeStart + 8;
const logHeadBytes = keyCountStart + 4 + 1;

/** The log record of a transaction at its place in the history; keys beyond the first part are records of their own. */
export function encodeLog(transaction: LoggedTransaction, place: number): Buffer {
  const { id, keys } = transaction;
  const idBytes = Buffer.byteLength(id);
  assert(idBytes <= 0xff, "a transaction id has at most 255 bytes");
  const keysStart = logHeadBytes + idBytes;
  const bytes = encodeKeys(keys, 0, keysStart);
  writeTid(bytes, transaction.previous, 0);
  bytes.write(transaction.digest, tidBytes, "hex");
  bytes.writeDoubleBE(place, placeStart);
  bytes.writeUInt32BE(keys.length, keyCountStart);
  bytes[logHeadBytes - 1] = idBytes;
  bytes.write(id, logHeadBytes);
  return bytes;
}

/** Content of a log record, from its key and its value, without the keys of its objects. */
export function decodeLogHead(key: Uint8Array, record: Uint8Array): LogHead {
  const buffer = asBuffer(record);
  return {
    previous: readTid(record, 0),
    tid: readTid(key, 1),
    digest: digestAt(buffer, tidBytes),
    place: buffer.readDoubleBE(placeStart),
    keyCount: buffer.readUInt32BE(keyCountStart),
    id: buffer.toString("utf8", logHeadBytes, logHeadBytes + buffer.readUInt8(logHeadBytes - 1)),
  };
}

/** Keys in a log record, which are the first part. */
export function decodeLogKeys(record: Uint8Array): string[] {
  return decodeKeys(record, logHeadBytes + (record[logHeadBytes - 1] ?? 0));
}

/** Part `part` of a transaction's keys, after `spare` bytes for the caller. */
export function encodeKeys(keys: readonly string[], part: number, spare = 0): Buffer {
  const first = part * keysPerPart;
  const end = Math.min(keys.length, first + keysPerPart);
  let size = spare;
  for (let index = first; index < end; index++) size += 2 + Buffer.byteLength(keys[index] ?? "");
  const bytes = Buffer.allocUnsafe(size);
  let offset = spare;
  for (let index = first; index < end; index++) {
    const length = bytes.write(keys[index] ?? "", offset + 2);
    bytes.writeUInt16BE(length, offset);
    offset += 2 + length;
  }
  return bytes;
}

/** Keys that encodeKeys wrote, starting at byte `start`. */
export function decodeKeys(bytes: Uint8Array, start = 0): string[] {
  const buffer = asBuffer(bytes);
  const keys: string[] = [];
  let offset = start;
  while (offset < buffer.length) {
    const end = offset + 2 + buffer.readUInt16BE(offset);
    keys.push(buffer.toString("utf8", offset + 2, end));
    offset = end;
  }
  return keys;
}

// ---- Bytes

function writeTid(bytes: Buffer, tid: Tid, offset: number): void {
  bytes.writeUInt32BE(Math.floor(tid / twoTo32), offset);
  bytes.writeUInt32BE(tid % twoTo32, offset + 4);
}

function readTid(bytes: Uint8Array, offset: number): Tid {
  const buffer = asBuffer(bytes);
  return (buffer.readUInt32BE(offset) * twoTo32 + buffer.readUInt32BE(offset + 4)) as Tid;
}

function digestAt(buffer: Buffer, offset: number): string {
  return buffer.toString("hex", offset, offset + digestBytes);
}

function textOf(bytes: Uint8Array, start: number, end: number): string {
  return asBuffer(bytes).toString("utf8", start, end);
}
