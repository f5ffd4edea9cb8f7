import { errorText, MalformedMessageError } from "./errors.js";
import { limits } from "./limits.js";
import { pack, unpack } from "./message-pack.js";

const allowed = { depthMax: limits.messageDepthMax, containersMax: limits.messageContainersMax, extension: "undefined" } as const;

/** A Buffer over the same memory. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** MessagePack of a message: arrays, strings, numbers, booleans, null and bytes. The caller owns the result. */
export function encodeMessage(message: unknown): Buffer {
  return pack(message);
}

/**
 * The message in `bytes`; its shape is unchecked. Byte fields alias `bytes`. Throws MalformedMessageError for any
 * invalid `bytes`, and no other error.
 */
export function decodeMessage(bytes: Uint8Array, what: string): unknown {
  try {
    return unpack(bytes, allowed);
  } catch (error) {
    throw new MalformedMessageError({ what, reason: errorText(error) }, error);
  }
}

/** The elements of the list that `bytes` encode; undefined: they encode something else. */
export function decodeList(bytes: Uint8Array): readonly unknown[] | undefined {
  try {
    const list = unpack(bytes, allowed);
    return Array.isArray(list) ? (list as readonly unknown[]) : undefined;
  } catch {
    return undefined;
  }
}
