import { decodeMessage, encodeMessage, errorFromWire, errorToWire, MalformedMessageError, ZooidError, type Log } from "../../core/index.js";
import type { Message } from "../../transport/transport.js";
import { capturedBy } from "./captured.js";
import * as shape from "./checks.js";

/** Both directions of one kind of message. */
export interface Codec<T> {
  write(message: T): Uint8Array;
  /** Throws MalformedMessageError, TooLargeError, InvalidKeyError. */
  read(bytes: Uint8Array): T;
}

/** A codec of messages that are arrays of `count` fields. */
export function codec<T>(
  what: string,
  toFields: (message: T) => readonly unknown[],
  fromFields: (read: readonly unknown[]) => T,
  count: number,
): Codec<T> {
  return {
    write: (message) => encodeMessage(toFields(message)),
    read: (bytes) => fromFields(shape.fields(decodeMessage(bytes, what), what, count)),
  };
}

/** A message without fields. */
export interface Nothing {
  readonly type?: never;
}

export const nothing = codec<Nothing>(
  "nothing",
  () => [],
  () => ({}),
  0,
);

/** Reads a message whose sender waits for no answer; undefined, and logged, if it is malformed. */
export function readOrDrop<T>(codec: Codec<T>, { subject, payload }: Pick<Message, "subject" | "payload">, log: Log): T | undefined {
  try {
    return codec.read(payload);
  } catch (error) {
    if (!(error instanceof ZooidError)) throw error;
    log.debug({ err: error, subject }, "a malformed message was dropped");
    return undefined;
  }
}

// ---- Answers: [0, result] or [1, class, facts]

/** The bytes of an answer with a result. */
export function writeAnswer<T>(answer: Codec<T>, message: T): Uint8Array {
  const body = answer.write(message);
  const whole = Buffer.allocUnsafe(body.length + 1);
  whole[0] = 0;
  whole.set(body, 1);
  return whole;
}

/** The bytes of an answer that fails with `error`. */
export function writeError(error: unknown): Uint8Array {
  const body = encodeMessage(errorToWire(error));
  const whole = Buffer.allocUnsafe(body.length + 1);
  whole[0] = 1;
  whole.set(body, 1);
  return whole;
}

/**
 * The result of an answer. Throws the error that the other side wrote, CapturedSubjectsError if a stream answered, or
 * MalformedMessageError.
 */
export function readAnswer<T>(answer: Codec<T>, bytes: Uint8Array): T {
  if (bytes[0] === 0) return answer.read(bytes.subarray(1));
  if (bytes[0] !== 1) throw capturedBy(bytes) ?? new MalformedMessageError({ what: "answer", reason: "is neither a result nor an error" });
  const [name, facts] = shape.fields(decodeMessage(bytes.subarray(1), "error"), "error", 2);
  throw errorFromWire(name, facts);
}
