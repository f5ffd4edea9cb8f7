import { decodeList, encodeMessage, isWhole, limits } from "../../core/index.js";

/** Kinds of messages that invalidate nothing. The last token of their subject names the kind. */
export const soundKinds = ["hello", "beat", "bye"] as const;
export type SoundKind = (typeof soundKinds)[number];

/** Version of the payloads of the bus without a stream. */
const protocol = 2;

/**
 * Payload of a message. Its subject has all else: the kind of the message, or the tag that it invalidates. Later
 * versions keep these fields in their places, after the version.
 */
export interface PlainWord {
  readonly publisher: string;
  /** A safe integer from 0. */
  readonly number: number;
  readonly id: string;
}

export function writePlainWord({ publisher, number, id }: PlainWord): Uint8Array {
  return encodeMessage([protocol, publisher, number, id]);
}

/** Undefined: `payload` is not a message of any version. */
export function readPlainWord(payload: Uint8Array): PlainWord | undefined {
  const [version, publisher, number, id] = decodeList(payload) ?? [];
  if (!Number.isSafeInteger(version) || !isText(publisher) || !isText(id)) return undefined;
  return isWhole(number) ? { publisher, number, id } : undefined;
}

const isText = (value: unknown): value is string => typeof value === "string" && value.length <= limits.keyBytesMax;
