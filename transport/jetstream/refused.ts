import { CapturedSubjectsError, DisconnectedError, NoJetStreamError } from "../../core/index.js";
import type { RequestOptions, Transport } from "../transport.js";
import { askJetStream, isRefusal } from "./ask.js";

/** Error codes: JetStream is off, for all accounts or for this one. */
const notEnabled = [10076, 10039];
/** Error code: another stream has some of the subjects. */
const subjectsOverlap = 10065;

/**
 * NoJetStreamError if `error` of a request to JetStream shows that it is off; undefined otherwise. Where JetStream is
 * on, its API answers, and refuses an account without it.
 */
export function withoutJetStream(error: unknown, transport: Transport): NoJetStreamError | undefined {
  const isAbsent = error instanceof DisconnectedError && error.isUnheard && transport.status === "connected";
  if (!isAbsent && !notEnabled.some((code) => isRefusal(error, code))) return undefined;
  return new NoJetStreamError({ address: transport.address }, error);
}

/**
 * The error for a stream on `subjects` that cannot be made: it names the stream that has them, or is `error` if no
 * stream can be named.
 */
export async function namingOverlap(error: unknown, subjects: string, transport: Transport, options: RequestOptions): Promise<unknown> {
  if (!isRefusal(error, subjectsOverlap)) return error;
  try {
    const { streams } = await askJetStream(transport, "STREAM.NAMES", { subject: subjects }, options);
    const [stream]: readonly unknown[] = Array.isArray(streams) ? streams : [];
    return typeof stream === "string" ? new CapturedSubjectsError({ stream, subjects }, error) : error;
  } catch {
    return error;
  }
}
