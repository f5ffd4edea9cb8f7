import { Packr } from "msgpackr";
import { MalformedMessageError } from "./errors.js";

// Without records: any MessagePack reader understands it, and no state is shared between sender and receiver.
const packr = new Packr({ useRecords: false, variableMapSize: true });

/** MessagePack of a message: arrays, strings, numbers, booleans, null and bytes. The result is the caller's own. */
export function encodeMessage(message: unknown): Buffer {
  return packr.pack(message);
}

/** The message in `bytes`, its shape unchecked. Byte fields alias `bytes`. Throws MalformedMessageError, whatever `bytes` holds. */
export function decodeMessage(bytes: Uint8Array, what: string): unknown {
  try {
    return packr.unpack(bytes);
  } catch (error) {
    throw new MalformedMessageError({ what, reason: error instanceof Error ? error.message : String(error) }, error);
  }
}
