import { keyTag } from "./result-key.js";
import { asBuffer, decodeList, encodeMessage, isTagOrRoot, isWhole, limits, rootTag, type Tag } from "../../core/index.js";

/**
 * A result as the nodes of a cache share it. It has two sequences of the bus: one that its tags are compared with, and
 * one that the tag of its own key is compared with. They differ for a value that was set: it is later than everything
 * known about its key, although it may be computed from older data.
 */
export interface SharedRecord {
  readonly key: string;
  readonly epoch: string;
  /** Sequence known when its computation began. */
  readonly sequence: number;
  /** When the broker stored the message with this sequence: milliseconds since 1970 by the broker's clock. */
  readonly time: number;
  /**
   * Same as `sequence`, or the sequence of the invalidation with which this value replaced another; at least
   * `sequence`.
   */
  readonly ownSequence: number;
  /** Without the tag of its own key. */
  readonly tags: readonly Tag[];
  readonly ttlMs: number | undefined;
  /** Rest of its time to live when it was written; Infinity: no time to live. */
  readonly leftMs: number;
  readonly slides: boolean;
  /** An encoded value; empty for undefined. */
  readonly value: Uint8Array;
}

const formatVersion = 2;

export function encodeSharedRecord(record: SharedRecord): Uint8Array {
  const { key, epoch, sequence, time, ownSequence, tags, ttlMs, leftMs, slides, value } = record;
  return encodeMessage([
    formatVersion,
    // Half a surrogate pair has no UTF-8 form.
    key.isWellFormed() ? key : Buffer.from(key, "utf16le"),
    epoch,
    sequence,
    time,
    ownSequence,
    tags,
    ttlMs ?? null,
    leftMs === Infinity ? null : leftMs,
    slides,
    value,
  ]);
}

/** The record of `key` in `bytes`, whose value aliases them; undefined: they hold something else. */
export function decodeSharedRecord(bytes: Uint8Array, key: string): SharedRecord | undefined {
  const fields = decodeList(bytes);
  if (fields?.length !== 11) return undefined;
  const [version, name, epoch, sequence, time, ownSequence, tags, ttlMs, leftMs, slides, value] = fields;
  if (version !== formatVersion || textOf(name) !== key || typeof epoch !== "string" || typeof slides !== "boolean") return undefined;
  if (!isWhole(sequence) || !Number.isFinite(time) || !isWhole(ownSequence) || ownSequence < sequence) return undefined;
  if (!areTags(tags) || tags.length > limits.entryTagsMax + 1 || !(value instanceof Uint8Array)) return undefined;
  if (!isDuration(ttlMs) || !isDuration(leftMs) || (ttlMs === null) !== (leftMs === null) || (leftMs ?? 0) > (ttlMs ?? Infinity))
    return undefined;
  return {
    key,
    epoch,
    sequence,
    time: time as number,
    ownSequence,
    tags,
    ttlMs: ttlMs ?? undefined,
    leftMs: leftMs ?? Infinity,
    slides,
    value,
  };
}

/**
 * Every tag whose invalidation makes `record` stale, with the sequence that the invalidation must exceed: its tags, all
 * their parents, and the tag of its key.
 */
export function staleAfter({ key, tags, sequence, ownSequence }: SharedRecord): ReadonlyMap<Tag, number> {
  const judging = new Map<Tag, number>([[rootTag, sequence]]);
  const own = keyTag(key);
  for (const tag of [...tags, own]) {
    for (let end = tag.length; end > 0; end = tag.lastIndexOf(":", end - 1)) {
      const above = tag.slice(0, end) as Tag;
      if (judging.has(above)) break;
      judging.set(above, sequence);
    }
  }
  return judging.set(own, ownSequence);
}

function textOf(name: unknown): unknown {
  return name instanceof Uint8Array ? asBuffer(name).toString("utf16le") : name;
}

function areTags(value: unknown): value is readonly Tag[] {
  return Array.isArray(value) && value.every((tag: unknown) => typeof tag === "string" && isTagOrRoot(tag));
}

function isDuration(value: unknown): value is number | null {
  return value === null || (typeof value === "number" && value >= 0);
}
