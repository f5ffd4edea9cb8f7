import { createHash } from "node:crypto";
import { asBuffer, assert, decodeList, encodeMessage, isWhole, type Tag } from "../../core/index.js";
import type { EntryPosition, QueuedInvalidation } from "./entry-store.js";
import type { ByteRange } from "../kv/ordered-store.js";

/*
 * Layout of a tier on disk:
 *
 *     0 "results"              meta record of the tier, with its position
 *     1 <generation> <key>     facts about an entry: small, and written again after a use
 *     2 <generation> <key>     value of the entry, written once
 *     3 <generation> <tag>     version of a tag
 *     4 <number>               an invalidation that is not published yet
 *
 * Each entry and each version belongs to a generation. The meta record names the current generations: records of
 * earlier ones do not count and are removed step by step. So forgetting all of them costs one number.
 *
 * A key that is too long for a store, or is not well-formed Unicode, is replaced by its hash in the store's key; the
 * record about the entry then contains the whole key.
 */
export const tierMetaKey: Uint8Array = Buffer.from("\u0000results");
export const queuedInvalidations = { from: Uint8Array.of(4), to: Uint8Array.of(5) } as const;

const formatVersion = 3;
/**
 * Maximum length in UTF-8. It is below a store's bound with any prefix. A key that looks like a hash is itself stored
 * as a hash.
 */
const plainKeyBytesMax = 1_900;
const longKeyMark = "\u0000#";
/** Digits to the base of 36: enough for a thousand generations per second over two years. */
const generationDigits = 7;

/** How often all entries, and all versions, were forgotten at once; from 1. */
export interface Generations {
  readonly entries: number;
  readonly versions: number;
}

/** Generations of a new tier. */
export const firstGenerations: Generations = { entries: 1, versions: 1 };

/** Meta record of a tier on disk. Every batch writes it. */
export interface TierMeta {
  readonly name: string;
  /** Identity of the bus whose positions these are. */
  readonly countedBy: string | undefined;
  readonly generations: Generations;
  readonly position: EntryPosition | undefined;
  /** Entries older than this are stale. */
  readonly floor: number;
  /** A write failed: the records beside it must not be used. */
  readonly isDiscarded: boolean;
}

export function encodeTierMeta({ name, countedBy, generations, position, floor, isDiscarded }: TierMeta): Uint8Array {
  const { epoch, sequence, time } = position ?? { epoch: null, sequence: 0, time: 0 };
  const { entries, versions } = generations;
  return encodeMessage([formatVersion, name, countedBy ?? null, entries, versions, epoch, sequence, time, floor, isDiscarded]);
}

/** Undefined: written in another format, or incomplete. */
export function decodeTierMeta(bytes: Uint8Array): TierMeta | undefined {
  const fields = decodeList(bytes);
  if (fields?.length !== 10 || fields[0] !== formatVersion) return undefined;
  const [, name, countedBy, entries, versions, epoch, sequence, time, floor, isDiscarded] = fields;
  if (typeof name !== "string" || typeof isDiscarded !== "boolean" || !isWhole(sequence) || !isWhole(floor)) return undefined;
  if (!isWhole(entries) || !isWhole(versions)) return undefined;
  if (!isTextOrNull(countedBy) || !isTextOrNull(epoch) || typeof time !== "number") return undefined;
  const position = epoch === null ? undefined : { epoch, sequence, time };
  return { name, countedBy: countedBy ?? undefined, generations: { entries, versions }, position, floor, isDiscarded };
}

/** The record about an entry on disk. Times are on the wall clock: the monotonic clock ends with the process. */
export interface AboutEntry {
  readonly key: string;
  readonly tags: readonly Tag[];
  readonly sequence: number;
  readonly ttlMs: number | undefined;
  readonly slides: boolean;
  readonly storedAt: number;
  /** Infinity: never. */
  readonly expiresAt: number;
  readonly usedAt: number;
  readonly valueBytes: number;
}

const headBytes = 53;
/** No tag contains it. */
const tagSeparator = "\n";

/** The record contains the key only if it is a long one; any other key is in the key of the record. */
export function encodeAbout(about: AboutEntry): Uint8Array {
  const tags = about.tags.join(tagSeparator);
  const tagsBytes = Buffer.byteLength(tags);
  const longKey = isPlain(about.key) ? "" : about.key;
  const bytes = Buffer.allocUnsafe(headBytes + tagsBytes + 2 * longKey.length);
  bytes[0] = about.slides ? 1 : 0;
  bytes.writeDoubleLE(about.sequence, 1);
  bytes.writeDoubleLE(about.ttlMs ?? Infinity, 9);
  bytes.writeDoubleLE(about.storedAt, 17);
  bytes.writeDoubleLE(about.expiresAt, 25);
  bytes.writeDoubleLE(about.usedAt, 33);
  bytes.writeDoubleLE(about.valueBytes, 41);
  bytes.writeUInt32LE(tagsBytes, 49);
  bytes.write(tags, headBytes);
  if (longKey !== "") bytes.write(longKey, headBytes + tagsBytes, "utf16le");
  return bytes;
}

/** Undefined: incomplete. `tagOf` returns one shared string for equal tags. */
export function decodeAbout(keyBytes: Uint8Array, record: Uint8Array, tagOf: (text: string) => Tag): AboutEntry | undefined {
  const bytes = asBuffer(record);
  if (bytes.length < headBytes) return undefined;
  const tagsEnd = headBytes + bytes.readUInt32LE(49);
  if (bytes.length < tagsEnd || (bytes.length - tagsEnd) % 2 === 1) return undefined;
  const key = bytes.length > tagsEnd ? bytes.toString("utf16le", tagsEnd) : textAfterHead(keyBytes);
  const ttlMs = bytes.readDoubleLE(9);
  return {
    key,
    tags: tagsEnd === headBytes ? [] : bytes.toString("utf8", headBytes, tagsEnd).split(tagSeparator).map(tagOf),
    sequence: bytes.readDoubleLE(1),
    ttlMs: ttlMs === Infinity ? undefined : ttlMs,
    slides: bytes[0] === 1,
    storedAt: bytes.readDoubleLE(17),
    expiresAt: bytes.readDoubleLE(25),
    usedAt: bytes.readDoubleLE(33),
    valueBytes: bytes.readDoubleLE(41),
  };
}

/** Store keys of the records of these generations. */
export class RecordKeys {
  readonly generations: Generations;
  readonly abouts: ByteRange;
  readonly versions: ByteRange;
  /** Records of earlier generations. The values of entries have keys next to these. */
  readonly earlierAbouts: ByteRange;
  readonly earlierVersions: ByteRange;
  readonly #about: string;
  readonly #value: string;
  readonly #version: string;

  constructor(generations: Generations) {
    const [entries, versions] = [generationText(generations.entries), generationText(generations.versions)];
    this.generations = generations;
    this.#about = `\u0001${entries}`;
    this.#value = `\u0002${entries}`;
    this.#version = `\u0003${versions}`;
    this.abouts = { from: Buffer.from(this.#about), to: Uint8Array.of(2) };
    this.versions = { from: Buffer.from(this.#version), to: Uint8Array.of(4) };
    this.earlierAbouts = { from: Uint8Array.of(1), to: this.abouts.from };
    this.earlierVersions = { from: Uint8Array.of(3), to: this.versions.from };
  }

  about(key: string): Uint8Array {
    return Buffer.from(this.#about + placeOf(key));
  }

  value(key: string): Uint8Array {
    return Buffer.from(this.#value + placeOf(key));
  }

  version(tag: Tag): Uint8Array {
    return Buffer.from(this.#version + tag);
  }
}

/** Key of the value that belongs to a record about an entry, for any content of that record. */
export function valueKeyBeside(aboutKey: Uint8Array): Uint8Array {
  const key = Buffer.from(aboutKey);
  key[0] = 2;
  return key;
}

export function encodeVersion(sequence: number): Uint8Array {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeDoubleLE(sequence);
  return bytes;
}

/** Undefined: incomplete. */
export function decodeVersion(keyBytes: Uint8Array, record: Uint8Array): readonly [tag: Tag, sequence: number] | undefined {
  return record.length === 8 ? [textAfterHead(keyBytes) as Tag, Buffer.from(record).readDoubleLE()] : undefined;
}

/** `order`: number of the invalidation, in the order in which they are queued. */
export function queueKey(order: number): Uint8Array {
  const bytes = Buffer.alloc(7, 4);
  bytes.writeUIntBE(order, 1, 6);
  return bytes;
}

export function encodeQueued({ id, tag }: QueuedInvalidation): Uint8Array {
  return encodeMessage([id, tag]);
}

/** Undefined: incomplete. */
export function decodeQueued(keyBytes: Uint8Array, record: Uint8Array): (QueuedInvalidation & { readonly order: number }) | undefined {
  const fields = decodeList(record);
  if (fields?.length !== 2 || keyBytes.length !== 7) return undefined;
  const [id, tag] = fields;
  if (typeof id !== "string" || typeof tag !== "string") return undefined;
  return { id, tag: tag as Tag, order: Buffer.from(keyBytes).readUIntBE(1, 6) };
}

function isTextOrNull(value: unknown): value is string | null {
  return value === null || typeof value === "string";
}

function isPlain(key: string): boolean {
  // A UTF-16 unit takes at most three bytes.
  const isShort = key.length * 3 <= plainKeyBytesMax || Buffer.byteLength(key) <= plainKeyBytesMax;
  return isShort && !key.startsWith(longKeyMark) && key.isWellFormed();
}

function placeOf(key: string): string {
  return isPlain(key) ? key : `${longKeyMark}${createHash("sha256").update(key, "utf16le").digest("hex")}`;
}

/** The order of the texts is the order of the numbers. */
function generationText(generation: number): string {
  const text = generation.toString(36).padStart(generationDigits, "0");
  assert(text.length === generationDigits, "a generation has at most seven digits");
  return text;
}

/** The text after kind and generation. */
function textAfterHead(bytes: Uint8Array): string {
  return asBuffer(bytes).toString("utf8", 1 + generationDigits);
}
