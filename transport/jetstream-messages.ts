import { decodeMessage, encodeMessage, isTagOrRoot, limits } from "../words/index.js";
import type { HeadedMessage } from "./transport.js";

const protocol = 1;

/** What a message of the stream says. `epoch` and `knew` are the highest position its publisher knew when it first sent it. */
export type BusWord =
  | { readonly type: "invalidate"; readonly epoch: string; readonly knew: number; readonly id: string; readonly tag: string }
  | { readonly type: "beat"; readonly epoch: string; readonly knew: number }
  /** From here on the history has the name `id`. */
  | { readonly type: "epoch"; readonly id: string }
  /** Said in a version of the protocol that is not spoken here: it may be an invalidation of anything. */
  | { readonly type: "foreign" }
  /** Not of the protocol. */
  | { readonly type: "malformed" };

/** A message of the stream, from the stream. */
export interface Delivery {
  readonly sequence: number;
  /** Milliseconds since 1970 at the broker. */
  readonly time: number;
  readonly word: BusWord;
}

/** `word` as it is published. */
export function writeBusWord(word: Exclude<BusWord, { type: "foreign" | "malformed" }>): Uint8Array {
  if (word.type === "epoch") return encodeMessage([protocol, "epoch", word.id]);
  if (word.type === "beat") return encodeMessage([protocol, "beat", word.epoch, word.knew]);
  return encodeMessage([protocol, "invalidate", word.epoch, word.knew, word.id, word.tag]);
}

/** The word in `payload`, whatever that holds. */
export function readBusWord(payload: Uint8Array): BusWord {
  let fields: unknown;
  try {
    fields = decodeMessage(payload, "message of the bus");
  } catch {
    return { type: "malformed" };
  }
  if (!Array.isArray(fields)) return { type: "malformed" };
  const [version, type, ...rest] = fields as readonly unknown[];
  if (version !== protocol) return { type: Number.isSafeInteger(version) ? "foreign" : "malformed" };
  const [first, knew, id, tag] = rest;
  if (!isText(first)) return { type: "malformed" };
  if (type === "epoch" && rest.length === 1) return { type, id: first };
  if (!Number.isSafeInteger(knew) || (knew as number) < 0) return { type: "malformed" };
  if (type === "beat" && rest.length === 2) return { type, epoch: first, knew: knew as number };
  if (type !== "invalidate" || rest.length !== 4 || !isText(id) || !isText(tag) || !isTagOrRoot(tag)) return { type: "malformed" };
  return { type, epoch: first, knew: knew as number, id, tag };
}

const isText = (value: unknown): value is string => typeof value === "string" && value.length <= limits.keyBytesMax;

/** What the stream repeated; undefined when `message` is not from `stream`. */
export function readRepeated({ headers, payload }: HeadedMessage, stream: string): Delivery | undefined {
  if (headers === undefined || headers.get("Nats-Stream") !== stream) return undefined;
  const sequence = Number(headers.get("Nats-Sequence"));
  const time = Date.parse(headers.get("Nats-Time-Stamp"));
  if (!Number.isSafeInteger(sequence) || sequence <= 0) return undefined;
  return { sequence, time, word: readBusWord(payload) };
}

/** What a consumer delivered, with the number it has there; undefined when it is not from a consumer. */
export function readDelivered(message: HeadedMessage): (Delivery & { readonly number: number }) | undefined {
  const place = placeOf(message);
  return place === undefined
    ? undefined
    : { sequence: place.sequence, number: place.number, time: place.time, word: readBusWord(message.payload) };
}

/** Where a message that a consumer delivered stands. */
export interface DeliveredPlace {
  /** In its stream, a safe integer. */
  readonly sequence: number;
  /** Of its delivery, by this consumer, from 1. */
  readonly number: number;
  /** Milliseconds since 1970 at the broker. */
  readonly time: number;
  /** Messages that the consumer has still to deliver. */
  readonly pending: number;
}

/** Where a consumer says that `message` stands; undefined when it is not from a consumer. */
export function placeOf({ replyTo }: HeadedMessage): DeliveredPlace | undefined {
  // $JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>.<number>.<time>.<pending>; later servers put domain and account before the stream.
  const tokens = replyTo?.split(".") ?? [];
  if (tokens[0] !== "$JS" || tokens[1] !== "ACK" || tokens.length < 9) return undefined;
  const [sequence = Number.NaN, number = Number.NaN, nanoseconds = Number.NaN, pending = Number.NaN] = tokens
    .slice(tokens.length === 9 ? 5 : 7)
    .map(Number);
  if (!Number.isSafeInteger(sequence)) return undefined;
  return { sequence, number, time: Math.floor(nanoseconds / 1_000_000), pending };
}
