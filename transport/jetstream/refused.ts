import { CapturedSubjectsError, DisconnectedError, NoJetStreamError } from "../../core/index.js";
import type { RequestOptions, Transport } from "../transport.js";
import { askJetStream, isRefusal } from "./ask.js";

/** JetStream is off, for all or for this account. */
const notEnabled = [10076, 10039];
/** Another stream has some of the subjects. */
const subjectsOverlap = 10065;

/** NoJetStreamError if that is what `error` of a request to JetStream shows: where JetStream is, its API answers, and an account without it is told so. */
export function withoutJetStream(error: unknown, transport: Transport): NoJetStreamError | undefined {
  const isAbsent = error instanceof DisconnectedError && error.isUnheard && transport.status === "connected";
  if (!isAbsent && !notEnabled.some((code) => isRefusal(error, code))) return undefined;
  return new NoJetStreamError({ address: transport.address }, error);
}

/** Of a stream on `subjects` that cannot be made: the error that names the stream which has them, or `error` where none can be named. */
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
