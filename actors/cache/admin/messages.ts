/**
 * The conversation with the nodes of a cache, for processes that observe or control them from outside. A process finds
 * the nodes, and then sends requests to each of them.
 *
 *     zooid.<prefix>.cache.nodes                       asks every node for its name: {answerTo}
 *     zooid.<prefix>.cache.node.<answerTo>             ... each node answers here: {node, instance}
 *     zooid.<prefix>.cache.<instance>.<operation>      requests to one node
 *
 *     process                                      node
 *       │ stats {} ──────────────────────────────▶ │
 *       │ ◀──────────────── {uptimeMs, bus, stats} │
 *       │ keys {beginning, after, rowsMax} ──────▶ │ looks at all results, in steps
 *       │ ◀──────────────────────── {rows, next}   │ at most rowsMax, in the order of the keys
 *       │ tags {below, after, rowsMax} ──────────▶ │ the same for the tags that it knows
 *       │ ◀──────────────────────── {rows, next}   │
 *       │ invalidate {tags} ─────────────────────▶ │ like a call there; `clear {}` too
 *       │ ◀─────────────────────────── {published} │ or queued
 *       │ prune {unusedMs} ──────────────────────▶ │
 *       │ ◀───────────────────────── {entries, tags}
 *
 * Every answer is the result or an error by class and facts. A cache is as open as its bus: a process that can publish
 * there can invalidate anyway.
 */
import {
  asTag,
  decodeMessage,
  encodeMessage,
  encodeValue,
  InvalidOptionError,
  limits,
  MalformedMessageError,
  rootTag,
  checkSize,
  type Value,
} from "../../../core/index.js";
import { bytes, count, element, flag, list, name, oneOf, optional, refined, text } from "../../protocol/fields.js";
import { type Codec, type Encoding, type Field, type Fields, message, messageOf, type MessageOf } from "../../protocol/message.js";
import { decodedValue, record } from "../../protocol/values.js";

/** Requests to a node: the last token of the subject. */
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

const short: Encoding = {
  encode: encodeMessage,
  decode(read, what) {
    checkSize(what, read.length, limits.actorEventBytesMax);
    return decodeMessage(read, what);
  },
};

/** A message to a node is short. A longer one is TooLargeError when it is read. */
function shortMessage<F extends Fields>(what: string, fields: F) {
  return message(what, fields, { encoding: short });
}

/** Number of tiers that a node can have: memory, the one behind it, and room for one more. */
const tiersMax = 4;

const rowsMax = refined(count, (rows, what) => {
  if (rows >= 1 && rows <= limits.listPageRowsMax) return;
  throw new MalformedMessageError({ what, reason: `is not from 1 to ${limits.listPageRowsMax}` });
});

/** A tag. Anything else is InvalidTagError. */
const tag = element(asTag);
const tagOrRoot = element((value) => (value === rootTag ? rootTag : asTag(value)));

/** Values by name, in an encoding of their own. */
const encodedRecord: Field<Readonly<Record<string, Value>>> = {
  slots: 1,
  write(values, into) {
    into.push(encodeValue(values));
  },
  read: (from, at, what) => record.read([decodedValue(bytes.read(from, at, what), what)], 0, what),
};

/** Asks the nodes for their names. The message is the last token of the subject to answer on. */
export const nodesAsked = messageOf("nodes", name, { encoding: short });

export const nodeName = shortMessage("node", {
  /** As it was configured. Several nodes may have the same name. */
  node: name,
  /** Unique for each opening of a cache. */
  instance: name,
});
/** The name of a node. */
export type CacheNodeName = MessageOf<typeof nodeName>;

export const nodeStats = message("stats", {
  uptimeMs: count,
  /** Tiers that hold results, the fastest first. */
  tiers: list(name, tiersMax),
  /** The bus that connects the nodes; `none`: this node is alone. */
  bus: name,
  /** The result of `stats()` of its cache. */
  stats: encodedRecord,
});
/** State and contents of a node. */
export type CacheNodeStats = MessageOf<typeof nodeStats>;

export const keysAsked = shortMessage("keys", {
  /** Only keys that begin with this text. */
  beginning: text,
  /** Only keys after this one. */
  after: optional(text),
  rowsMax,
});
/** A request for a page of keys. */
export type KeysAsked = MessageOf<typeof keysAsked>;

const cachedKey = message("keys page.rows", {
  key: text,
  /** The fastest tier that has it. */
  tier: name,
  /** The tag of its key may be one more than a result can have. */
  tags: list(tagOrRoot, limits.entryTagsMax + 1),
  /** Time since it was stored there. */
  ageMs: count,
  /** The rest of its time to live; undefined: it has none. */
  leftMs: optional(count),
});
/** A cached result without its value. */
export type CachedKey = MessageOf<typeof cachedKey>;

export const tagsAsked = shortMessage("tags", {
  /** Only this tag and the tags below it. The root: all tags that users named. */
  below: tagOrRoot,
  /** Only tags after this one. */
  after: optional(tagOrRoot),
  rowsMax,
});
/** A request for a page of tags. */
export type TagsAsked = MessageOf<typeof tagsAsked>;

const listedTag = message("tags page.rows", {
  tag: tagOrRoot,
  /** Sequence of its own latest invalidation; 0: none after the latest of everything. */
  version: count,
  /** The node has invalidated it, and the bus has not taken that yet. */
  isPending: flag,
});
/** A tag that a node knows. */
export type ListedTag = MessageOf<typeof listedTag>;

/** Rows in their order. */
export interface CachePage<Row> {
  readonly rows: readonly Row[];
  /** More rows follow after this one; undefined: there are no more. */
  readonly next: string | undefined;
}

function pageOf<Row>(what: string, row: Field<Row>): Codec<CachePage<Row>> {
  return message(what, { rows: list(row, limits.listPageRowsMax), next: optional(text) });
}

export const keysPage = pageOf("keys page", cachedKey.nested);
export const tagsPage = pageOf("tags page", listedTag.nested);

export const invalidateAsked = messageOf("invalidate", list(tag, limits.tagsInvalidatedMax), { encoding: short });

export const publication = messageOf("publication", oneOf("published", "queued"));

export const pruneAsked = shortMessage("prune", {
  /** Removes tags unused for this time, in milliseconds; undefined: as the node was configured. */
  unusedMs: optional(count),
});

export const pruned = message("pruned", { entries: count, tags: count });
