import { errorFromWire, errorToWire, MalformedMessageError, ZooidError, type Log } from "../../core/index.js";
import type { Message } from "../../transport/transport.js";
import { capturedBy } from "./captured.js";
import { element } from "./fields.js";
import { type Codec, message } from "./message.js";

/** A message without fields. */
export interface Nothing {
  readonly type?: never;
}

export const nothing: Codec<Nothing> = message("nothing", {});

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

/** `errorFromWire` checks both. */
const unchecked = element((value) => value);
const failure = message("error", { name: unchecked, facts: unchecked });

/** The bytes of an answer with a result. */
export function writeAnswer<T>(answer: Codec<T>, message: T): Uint8Array {
  return after(0, answer.write(message));
}

/** The bytes of an answer that fails with `error`. */
export function writeError(error: unknown): Uint8Array {
  const [name, facts] = errorToWire(error);
  return after(1, failure.write({ name, facts }));
}

function after(first: number, body: Uint8Array): Uint8Array {
  const whole = Buffer.allocUnsafe(body.length + 1);
  whole[0] = first;
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
  const { name, facts } = failure.read(bytes.subarray(1));
  throw errorFromWire(name, facts);
}
