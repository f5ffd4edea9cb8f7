/** Requests to JetStream's API, and its answers. */
import { asBuffer, MalformedMessageError } from "../../core/index.js";
import type { RequestOptions, Transport } from "../transport.js";
import type { Fields } from "./stream-names.js";

/** The stream refused a request. `code` is one of its error codes. */
export class JetStreamRefusal extends Error {
  override readonly name = "JetStreamRefusal";
  readonly code: number;

  constructor(code: number, description: string) {
    super(`JetStream refused: ${description} (${code})`);
    this.code = code;
  }
}

const wrongLastSequence = 10071;
/** The answer of a cluster's leader while another write to the subject is in progress. */
const wrongLastSequenceInFlight = 10164;

/** The answer of JetStream's API to `body`. Rejects as `request` does, or with JetStreamRefusal. */
export async function askJetStream(transport: Transport, subject: string, body: unknown, options: RequestOptions): Promise<Fields> {
  const payload = body === undefined ? new Uint8Array(0) : Buffer.from(JSON.stringify(body));
  return answerOf(await transport.request(`$JS.API.${subject}`, payload, options));
}

/** Whether JetStream itself refused the request; with this code, if one is given. */
export function isRefusal(error: unknown, code?: number): boolean {
  return error instanceof JetStreamRefusal && (code === undefined || error.code === code);
}

/** Whether another client wrote to the subject meanwhile. */
export function isOutrun(error: unknown): boolean {
  return isRefusal(error, wrongLastSequence) || isRefusal(error, wrongLastSequenceInFlight);
}

/** Fields of an answer of JetStream. Throws JetStreamRefusal, MalformedMessageError. */
export function answerOf(payload: Uint8Array): Fields {
  let answer: Fields;
  try {
    answer = fieldsOf(JSON.parse(asBuffer(payload).toString()));
  } catch (error) {
    throw new MalformedMessageError({ what: "answer of JetStream", reason: "it is no JSON" }, error);
  }
  if (answer.error === undefined) return answer;
  const { err_code: code, code: status, description } = fieldsOf(answer.error);
  throw new JetStreamRefusal(Number(code ?? status ?? 0), String(description));
}

export function fieldsOf(value: unknown): Fields {
  if (typeof value !== "object" || value === null) throw malformed("an object");
  return value as Fields;
}

export function textOf(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value !== "string") throw malformed(name);
  return value;
}

export function numberOf(fields: Fields, name: string): number {
  const value = fields[name];
  if (!Number.isSafeInteger(value)) throw malformed(name);
  return value as number;
}

const malformed = (missing: string) => new MalformedMessageError({ what: "answer of JetStream", reason: `it lacks ${missing}` });
