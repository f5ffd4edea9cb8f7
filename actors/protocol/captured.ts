import { asBuffer, CapturedSubjectsError } from "../../core/index.js";

/** An acknowledgement is short: its first field is the name of the stream, of up to 255 characters. */
const acknowledgementBytesMax = 1_024;

/**
 * The error for an answer that is an acknowledgement of a JetStream stream: the stream stored the request as a message.
 * Undefined: it is no acknowledgement.
 */
export function capturedBy(answer: Uint8Array): CapturedSubjectsError | undefined {
  if (answer.length > acknowledgementBytesMax) return undefined;
  const text = asBuffer(answer).toString();
  const stream = /^\{"(?:stream":"|error":.*"stream":")([^"]{1,255})"/.exec(text)?.[1];
  return stream === undefined ? undefined : new CapturedSubjectsError({ stream, subjects: "zooid.>" });
}
