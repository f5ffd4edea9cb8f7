/**
 * The conversation with the nodes of a cache, for whoever looks at them or steers them from outside. Who asks finds out which nodes
 * there are, and then talks to each of them.
 *
 *     zooid.<prefix>.cache.nodes                       every node is asked who it is: {answerTo}
 *     zooid.<prefix>.cache.node.<answerTo>             ... and says so here: {node, instance}
 *     zooid.<prefix>.cache.<instance>.<operation>      requests to one node
 *
 *     who asks                                     node
 *       │ stats {} ──────────────────────────────▶ │
 *       │ ◀──────────────── {uptimeMs, bus, stats} │
 *       │ keys {beginning, after, rowsMax} ──────▶ │ looks at all it holds, in steps
 *       │ ◀──────────────────────── {rows, next}   │ at most rowsMax, in the order of the keys
 *       │ tags {below, after, rowsMax} ──────────▶ │ the same, of the tags it knows
 *       │ ◀──────────────────────── {rows, next}   │
 *       │ invalidate {tags} ─────────────────────▶ │ as if it had been called there; `clear {}` too
 *       │ ◀─────────────────────────── {published} │ or queued
 *       │ prune {unusedMs} ──────────────────────▶ │
 *       │ ◀───────────────────────── {entries, tags}
 *
 * Every answer is what was asked for, or an error by class and facts. A cache is as open as its bus is: whoever can publish there can
 * invalidate anyway.
 */
import {
  asTag,
  decodeMessage,
  decodeValue,
  encodeMessage,
  encodeValue,
  InvalidOptionError,
  limits,
  MalformedMessageError,
  rootTag,
  type Tag,
  TooLargeError,
  type Value,
  ZooidError,
} from "../../../core/index.js";
import type { Publication } from "../publication.js";
import * as shape from "../../protocol/checks.js";
import { type Codec, codec } from "../../protocol/codec.js";

/** What a node can be asked: the last token of the subject. */
export const cacheOperations = ["stats", "keys", "tags", "invalidate", "clear", "prune"] as const;
export type CacheOperation = (typeof cacheOperations)[number];

/** Subjects of the nodes of one prefix. Throws InvalidOptionError. */
export function cacheSubjects(prefix: string) {
  if (!/^[\w-]{1,64}$/.test(prefix)) throw new InvalidOptionError({ option: "prefix", reason: "is not 1 to 64 letters, digits, _ or -" });
  const root = `zooid.${prefix}.cache`;
  return {
    nodes: `${root}.nodes`,
    answers: (answerTo: string) => `${root}.node.${answerTo}`,
    requests: (instance: string, operation: CacheOperation | "*") => `${root}.${instance}.${operation}`,
  };
}

/** Who a node is. */
export interface CacheNodeName {
  /** As it was configured: several may have one name. */
  readonly node: string;
  /** Of one opening of one cache, and of no other. */
  readonly instance: string;
}

/** How a node is, and what it holds. */
export interface CacheNodeStats {
  readonly uptimeMs: number;
  /** Tiers that results are kept in, the fastest first. */
  readonly tiers: readonly string[];
  /** What the nodes hear of each other by; `none`: this one is alone. */
  readonly bus: string;
  /** As its `stats()` gives them. */
  readonly stats: Readonly<Record<string, Value>>;
}

/** Which keys to list. */
export interface KeysAsked {
  readonly beginning: string;
  /** Only keys that come after this one. */
  readonly after: string | undefined;
  readonly rowsMax: number;
}

/** A result that is kept, without its value. */
export interface CachedKey {
  readonly key: string;
  /** The first one that has it. */
  readonly tier: string;
  readonly tags: readonly Tag[];
  /** For how long it has been kept there. */
  readonly ageMs: number;
  /** What is left of its time to live; undefined: it has none. */
  readonly leftMs: number | undefined;
}

/** Which tags to list. */
export interface TagsAsked {
  /** This one, and what is below it; the root: all that people named. */
  readonly below: Tag;
  /** Only tags that come after this one. */
  readonly after: Tag | undefined;
  readonly rowsMax: number;
}

/** A tag that a node knows. */
export interface ListedTag {
  readonly tag: Tag;
  /** Sequence of its own latest invalidation; 0: none after the latest of everything. */
  readonly version: number;
  /** The node has invalidated it, and the bus has not taken that yet. */
  readonly isPending: boolean;
}

/** Rows in their order; `next`: there are more after this one. */
export interface CachePage<Row> {
  readonly rows: readonly Row[];
  readonly next: string | undefined;
}

/** Where nodes are to say who they are: the last token of a subject. */
export const nodesAsked: Codec<string> = bounded(
  codec(
    "nodes",
    (answerTo) => [answerTo],
    ([answerTo]) => shape.name(answerTo, "nodes.answerTo"),
    1,
  ),
  "nodes",
);

export const nodeName: Codec<CacheNodeName> = bounded(
  codec(
    "node",
    ({ node, instance }) => [node, instance],
    ([node, instance]) => ({ node: shape.name(node, "node.node"), instance: shape.name(instance, "node.instance") }),
    2,
  ),
  "node",
);

export const nodeStats: Codec<CacheNodeStats> = codec(
  "stats",
  ({ uptimeMs, tiers, bus, stats }) => [uptimeMs, tiers, bus, encodeValue(stats)],
  ([uptimeMs, tiers, bus, stats]) => ({
    uptimeMs: shape.count(uptimeMs, "stats.uptimeMs"),
    tiers: shape.list(tiers, "stats.tiers", tiersMax).map((tier) => shape.name(tier, "stats.tiers")),
    bus: shape.name(bus, "stats.bus"),
    stats: record(shape.bytes(stats, "stats.stats")),
  }),
  4,
);

export const keysAsked: Codec<KeysAsked> = bounded(
  codec(
    "keys",
    ({ beginning, after, rowsMax }) => [beginning, after ?? null, rowsMax],
    ([beginning, after, rowsMax]) => ({
      beginning: text(beginning, "keys.beginning"),
      after: after === null ? undefined : text(after, "keys.after"),
      rowsMax: rowsOf(rowsMax, "keys.rowsMax"),
    }),
    3,
  ),
  "keys",
);

export const keysPage: Codec<CachePage<CachedKey>> = pageOf(
  "keys page",
  ({ key, tier, tags, ageMs, leftMs }) => [key, tier, tags, ageMs, leftMs ?? null],
  ([key, tier, tags, ageMs, leftMs]) => ({
    key: text(key, "keys page.key"),
    tier: shape.name(tier, "keys page.tier"),
    // With its key's own among them, a result may have one more than was asked for.
    tags: shape.list(tags, "keys page.tags", limits.entryTagsMax + 1).map(anyTag),
    ageMs: shape.count(ageMs, "keys page.ageMs"),
    leftMs: leftMs === null ? undefined : shape.count(leftMs, "keys page.leftMs"),
  }),
  5,
);

export const tagsAsked: Codec<TagsAsked> = bounded(
  codec(
    "tags",
    ({ below, after, rowsMax }) => [below, after ?? null, rowsMax],
    ([below, after, rowsMax]) => ({
      below: anyTag(below),
      after: after === null ? undefined : anyTag(after),
      rowsMax: rowsOf(rowsMax, "tags.rowsMax"),
    }),
    3,
  ),
  "tags",
);

export const tagsPage: Codec<CachePage<ListedTag>> = pageOf(
  "tags page",
  ({ tag, version, isPending }) => [tag, version, isPending],
  ([tag, version, isPending]) => ({
    tag: anyTag(tag),
    version: shape.count(version, "tags page.version"),
    isPending: shape.flag(isPending, "tags page.isPending"),
  }),
  3,
);

export const invalidateAsked: Codec<readonly Tag[]> = bounded(
  codec(
    "invalidate",
    (tags) => [tags],
    ([tags]) => shape.list(tags, "invalidate.tags", limits.tagsToldMax).map(asTag),
    1,
  ),
  "invalidate",
);

export const publication: Codec<Publication> = codec(
  "publication",
  (outcome) => [outcome],
  ([outcome]) => shape.oneOf(outcome, "publication", ["published", "queued"]),
  1,
);

/** For how long tags must have been unused; undefined: as the node was configured. */
export const pruneAsked: Codec<{ readonly unusedMs: number | undefined }> = bounded(
  codec(
    "prune",
    ({ unusedMs }) => [unusedMs ?? null],
    ([unusedMs]) => ({ unusedMs: unusedMs === null ? undefined : shape.count(unusedMs, "prune.unusedMs") }),
    1,
  ),
  "prune",
);

export const pruned: Codec<{ readonly entries: number; readonly tags: number }> = codec(
  "pruned",
  ({ entries, tags }) => [entries, tags],
  ([entries, tags]) => ({ entries: shape.count(entries, "pruned.entries"), tags: shape.count(tags, "pruned.tags") }),
  2,
);

/** Memory, what is behind it, and room for one more. */
const tiersMax = 4;

/** What is sent to a node is small, whatever it is. */
function bounded<T>(inner: Codec<T>, what: string): Codec<T> {
  return {
    write: inner.write,
    read: (bytes) => {
      if (bytes.length > limits.actorEventBytesMax)
        throw new TooLargeError({ what, size: bytes.length, sizeMax: limits.actorEventBytesMax });
      return inner.read(bytes);
    },
  };
}

function pageOf<Row>(
  what: string,
  toFields: (row: Row) => readonly unknown[],
  fromFields: (read: readonly unknown[]) => Row,
  count: number,
): Codec<CachePage<Row>> {
  return {
    write: ({ rows, next }) => encodeMessage([rows.map(toFields), next ?? null]),
    read: (bytes) => {
      const [rows, next] = shape.fields(decodeMessage(bytes, what), what, 2);
      return {
        rows: shape.list(rows, `${what}.rows`, limits.listPageRowsMax).map((row) => fromFields(shape.fields(row, `${what}.rows`, count))),
        next: next === null ? undefined : text(next, `${what}.next`),
      };
    },
  };
}

function text(value: unknown, what: string): string {
  if (typeof value !== "string") throw new MalformedMessageError({ what, reason: "is not a string" });
  return value;
}

function rowsOf(value: unknown, what: string): number {
  const rows = shape.count(value, what);
  if (rows < 1 || rows > limits.listPageRowsMax) {
    throw new MalformedMessageError({ what, reason: `is not from 1 to ${limits.listPageRowsMax}` });
  }
  return rows;
}

function anyTag(value: unknown): Tag {
  return value === rootTag ? rootTag : asTag(value);
}

function record(bytes: Uint8Array): Readonly<Record<string, Value>> {
  let value: Value;
  try {
    ({ value } = decodeValue(bytes));
  } catch (error) {
    if (!(error instanceof ZooidError)) throw error;
    throw new MalformedMessageError({ what: "stats", reason: error.message }, error);
  }
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) {
    throw new MalformedMessageError({ what: "stats", reason: "are not an object" });
  }
  return value as Readonly<Record<string, Value>>;
}
