/**
 * The messages that the stream holds, and their meaning.
 *
 * The subject alone decides the kind of a message, and the tag that it invalidates: NATS lets a user publish on some
 * subjects and not on others, and the stream keeps the last message of each. So every message on the subject of a tag
 * is an invalidation of that tag, and of no other tag, even if its payload cannot be read: it has replaced one that
 * could be read.
 */
import { createHash } from "node:crypto";
import { decodeList, encodeMessage, isWhole, limits, type Tag } from "../../core/index.js";
import { tagOfSubject, tagSubject } from "../tag-subject.js";
import type { HeadedMessage } from "../transport.js";

const protocol = 1;

/** The meaning of a message of the stream. */
export type BusWord =
  | {
      readonly type: "invalidate";
      readonly tag: Tag;
      /** Empty if the payload cannot be read. */
      readonly id: string;
      readonly fault?: WordFault | undefined;
    }
  /** `epoch` and `knew` are missing if the payload cannot be read. */
  | {
      readonly type: "beat";
      readonly epoch?: string | undefined;
      readonly knew?: number | undefined;
      readonly fault?: WordFault | undefined;
    }
  /** From here on the history has the name `id`. Any payload is a name. */
  | { readonly type: "epoch"; readonly id: string; readonly fault?: undefined }
  /** A message on a subject without a meaning here. */
  | { readonly type: "unknown"; readonly fault: WordFault };

/**
 * Why the payload of a message was not used: it is of another version of the protocol, malformed, or names another tag
 * than its subject; or the subject has no meaning.
 */
export type WordFault = "foreign" | "malformed" | "another tag" | "no subject";

/** A message of the stream, as the stream delivered it. */
export interface Delivery {
  readonly sequence: number;
  /** Milliseconds since 1970 at the broker; NaN if the broker does not say. */
  readonly time: number;
  /** Whether the publisher may have written the time: the oldest brokers add no time to the messages they repeat. */
  readonly isTimeDoubtful?: boolean | undefined;
  /**
   * In a repeated heartbeat: the sequence of the heartbeat before it, as the broker says; 0: the stream has none.
   * Undefined: the broker does not say.
   */
  readonly beatBefore?: number | undefined;
  readonly word: BusWord;
}

/**
 * A message that a publisher sends. `epoch` and `knew` are the highest position that it knew when it sent the message.
 */
export type SentWord =
  | { readonly type: "invalidate"; readonly epoch: string; readonly knew: number; readonly id: string; readonly tag: string }
  | { readonly type: "beat"; readonly epoch: string; readonly knew: number }
  | { readonly type: "epoch"; readonly id: string };

/** Subject of the invalidations of `tag`, below the subjects that the stream takes. */
export function tagTokens(tag: string): string {
  return `tag.${tagSubject(tag)}`;
}

/** The payload of `word`. */
export function writeBusWord(word: SentWord): Uint8Array {
  if (word.type === "epoch") return encodeMessage([protocol, "epoch", word.id]);
  if (word.type === "beat") return encodeMessage([protocol, "beat", word.epoch, word.knew]);
  return encodeMessage([protocol, "invalidate", word.epoch, word.knew, word.id, word.tag]);
}

/** The meaning of a message with any `payload` on `subject`, which is below the subjects that the stream takes. */
export function readBusWord(subject: string, payload: Uint8Array): BusWord {
  if (subject === "epoch") return { type: "epoch", id: recordName(payload) };
  const read = fieldsIn(payload);
  const fields = typeof read === "string" ? [] : read;
  const unread = typeof read === "string" ? read : undefined;
  const [type, epoch, knew, id, named] = fields;
  const isSound = isText(epoch) && isWhole(knew);
  if (subject === "beat") {
    if (isSound && type === "beat" && fields.length === 3) return { type: "beat", epoch, knew };
    return { type: "beat", fault: unread ?? "malformed" };
  }
  const tag = subject.startsWith("tag.") ? tagOfSubject(subject.slice(4)) : undefined;
  if (tag === undefined) return { type: "unknown", fault: "no subject" };
  if (!(isSound && type === "invalidate" && fields.length === 5 && isText(id) && isText(named)))
    return { type: "invalidate", tag, id: "", fault: unread ?? "malformed" };
  return named === tag ? { type: "invalidate", tag, id } : { type: "invalidate", tag, id: "", fault: "another tag" };
}

/** Fields after the version, or the reason why there are none. */
function fieldsIn(payload: Uint8Array): readonly unknown[] | "foreign" | "malformed" {
  const fields = decodeList(payload);
  if (fields === undefined) return "malformed";
  const [version, ...rest] = fields;
  if (version !== protocol) return Number.isSafeInteger(version) ? "foreign" : "malformed";
  return rest;
}

/**
 * Name of the history that begins with the record `payload`. If a record cannot be read, all nodes derive the same name
 * from it.
 */
export function recordName(payload: Uint8Array): string {
  const read = fieldsIn(payload);
  if (typeof read !== "string" && read.length === 2 && read[0] === "epoch" && isText(read[1])) return read[1];
  return createHash("sha256").update(payload).digest("base64url");
}

const isText = (value: unknown): value is string => typeof value === "string" && value.length <= limits.keyBytesMax;

/**
 * The message that the stream repeated on a subject below `repeated`; undefined if `message` is not from `stream`. The
 * broker adds its headers after those of the publisher, which may have the same names. So the last ones count.
 */
export function readRepeated({ subject, headers, payload }: HeadedMessage, stream: string, repeated: string): Delivery | undefined {
  if (headers === undefined || headers.last("Nats-Stream") !== stream) return undefined;
  const sequence = Number(headers.last("Nats-Sequence"));
  const time = Date.parse(headers.last("Nats-Time-Stamp"));
  if (!Number.isSafeInteger(sequence) || sequence <= 0) return undefined;
  const word = readBusWord(below(subject, repeated), payload);
  // Only nodes publish heartbeats and records.
  if (word.type === "beat") return { sequence, time, beatBefore: sequenceIn(headers.last("Nats-Last-Sequence")), word };
  return { sequence, time, isTimeDoubtful: word.type !== "epoch", word };
}

/** Undefined: `text` is no sequence. */
function sequenceIn(text: string): number | undefined {
  const sequence = text === "" ? Number.NaN : Number(text);
  return Number.isSafeInteger(sequence) ? sequence : undefined;
}

/**
 * The message that a consumer delivered, of the subjects below `taken`, with its number at the consumer; undefined if
 * it is not from a consumer.
 */
export function readDelivered(message: HeadedMessage, taken: string): (Delivery & { readonly number: number }) | undefined {
  const place = placeOf(message);
  if (place === undefined) return undefined;
  const { sequence, number, time } = place;
  return { sequence, number, time, word: readBusWord(below(message.subject, taken), message.payload) };
}

const below = (subject: string, base: string) => (subject.startsWith(`${base}.`) ? subject.slice(base.length + 1) : "");

/** The position of a message that a consumer delivered. */
export interface DeliveredPosition {
  /** Its sequence in the stream, a safe integer. */
  readonly sequence: number;
  /** The number of its delivery by this consumer, from 1. */
  readonly number: number;
  /** Milliseconds since 1970 at the broker. */
  readonly time: number;
  /** Messages that the consumer still has to deliver. */
  readonly pending: number;
}

/** The position of `message` according to its consumer; undefined if it is not from a consumer. */
export function placeOf({ replyTo }: HeadedMessage): DeliveredPosition | undefined {
  // $JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>.<number>.<time>.<pending>
  // Later servers put domain and account before the stream.
  const tokens = replyTo?.split(".") ?? [];
  if (tokens[0] !== "$JS" || tokens[1] !== "ACK" || tokens.length < 9) return undefined;
  const [sequence = Number.NaN, number = Number.NaN, nanoseconds = Number.NaN, pending = Number.NaN] = tokens
    .slice(tokens.length === 9 ? 5 : 7)
    .map(Number);
  if (!Number.isSafeInteger(sequence)) return undefined;
  return { sequence, number, time: Math.floor(nanoseconds / 1_000_000), pending };
}
