/** `Value`s in messages: plain data, frozen when it was read. */
import { checkSize, decodeValue, encodeValue, MalformedMessageError, type Value, ZooidError } from "../../core/index.js";
import { element } from "./fields.js";
import type { Encoding } from "./message.js";

/** An object without a class, as a part of a message that is a Value. */
export const record = element((value, what) => {
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) {
    throw new MalformedMessageError({ what, reason: "is not an object" });
  }
  return value as Readonly<Record<string, Value>>;
});

/** Messages that are Values of at most `bytesMax` bytes. Larger ones are TooLargeError, when written and when read. */
export function valueEncoding(bytesMax: number): Encoding<Value> {
  const within = <B extends Uint8Array>(bytes: B, what: string): B => {
    checkSize(what, bytes.length, bytesMax);
    return bytes;
  };
  return {
    encode: (message, what) => within(encodeValue(message), what),
    decode: (bytes, what) => decodedValue(within(bytes, what), what),
  };
}

/** The value in `bytes`. Throws MalformedMessageError. */
export function decodedValue(bytes: Uint8Array, what: string): Value {
  try {
    return decodeValue(bytes).value;
  } catch (error) {
    if (!(error instanceof ZooidError)) throw error;
    throw new MalformedMessageError({ what, reason: error.message }, error);
  }
}
