import { CapturedSubjectsError } from "../../core/index.js";

/** An acknowledgement is short; its first field is the name of the stream, of up to 255 characters. */
const acknowledgementBytesMax = 1_024;

/** The error of an answer that is the acknowledgement of a stream of JetStream: it took the request for a message to keep. Undefined: it is none. */
export function capturedBy(answer: Uint8Array): CapturedSubjectsError | undefined {
  if (answer.length > acknowledgementBytesMax) return undefined;
  const text = Buffer.from(answer.buffer, answer.byteOffset, answer.byteLength).toString();
  const stream = /^\{"(?:stream":"|error":.*"stream":")([^"]{1,255})"/.exec(text)?.[1];
  return stream === undefined ? undefined : new CapturedSubjectsError({ stream, subjects: "zooid.>" });
}
