import { decodeList, isWhole, limits } from "../../core/index.js";

export type PlainKind = "hello" | "beat" | "invalidate" | "bye";

/** Version of the payloads of the bus without a stream. */
export const plainProtocol = 1;

/** The fields of a message's payload after the version. Later versions keep them in their places. */
export interface PlainWord {
  readonly publisher: string;
  /** A safe integer from 0. */
  readonly number: number;
  readonly id: string;
}

/** The same with the kind and tag of the message, unchecked. */
export interface ReadPlainWord extends PlainWord {
  readonly kind: unknown;
  readonly tag: unknown;
}

/** Undefined: `payload` is not a message of any version. */
export function readPlainWord(payload: Uint8Array): ReadPlainWord | undefined {
  const [version, kind, publisher, number, id, tag] = decodeList(payload) ?? [];
  if (!Number.isSafeInteger(version) || !isText(publisher) || !isText(id)) return undefined;
  return isWhole(number) ? { kind, publisher, number, id, tag } : undefined;
}

const isText = (value: unknown): value is string => typeof value === "string" && value.length <= limits.keyBytesMax;
