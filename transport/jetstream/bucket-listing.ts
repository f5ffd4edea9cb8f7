import { deferred, onAbort, TimeoutError, type Seams } from "../../core/index.js";
import { passingConsumer } from "./api.js";
import { askJetStream, fieldsOf, textOf } from "./ask.js";
import type { Fields } from "./stream-names.js";
import { placeOf } from "./messages.js";
import { answerConsumer, consumerStatus } from "./replay.js";
import type { HeadedMessage, HeadedTransport, MessageHeaders } from "../transport.js";

/** A message of a stream, without its payload. */
export interface ListedMessage {
  readonly sequence: number;
  /** Milliseconds since 1970 at the broker. */
  readonly time: number;
  readonly headers: MessageHeaders;
}

export interface ListingOptions extends Pick<Seams, "clock" | "random"> {
  readonly transport: HeadedTransport;
  readonly stream: string;
  readonly filter: string;
  /** A listing without a delivery for this long ends. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/**
 * The shortest interval that servers take. If the last message was removed before it was delivered, only a heartbeat
 * shows that no more will come.
 */
const consumerHeartbeatMs = 100;

/**
 * Messages of a stream by their headers alone, from the sequence `from` on, through a consumer that lives as long as
 * the listing. Fewer than `messagesMax` are all of them. Rejects as `request` does, or with JetStreamRefusal.
 */
export async function listMessages(from: number, messagesMax: number, options: ListingOptions): Promise<readonly ListedMessage[]> {
  const { transport, stream, clock, random, timeoutMs, signal } = options;
  const subject = `zooid.listed.${random.id()}`;
  const listed: ListedMessage[] = [];
  const ask = (api: string, body: Fields | undefined) => askJetStream(transport, api, body, { timeoutMs, signal });
  let timer: unknown = undefined;
  const { promise: ended, resolve: end, reject: fail } = deferred<void>();
  // If a request below rejects first, no code awaits this promise.
  ended.catch(() => undefined);
  const wait = () => {
    clock.clearTimeout(timer);
    timer = clock.setTimeout(() => fail(new TimeoutError({ what: "listing of a bucket", timeoutMs })), timeoutMs);
  };
  const stopListening = onAbort(signal, () => fail(signal.reason));
  const subscription = transport.subscribe(subject, (message) => {
    if (message.headers?.code === consumerStatus) {
      // A status message without a question is a heartbeat of an idle consumer: all messages have been sent, unless the
      // consumer is stalled until we answer.
      const isIdle = message.replyTo === undefined && message.headers.get("Nats-Consumer-Stalled") === "";
      if (isIdle) end();
      else answerConsumer(transport, message);
      return;
    }
    const delivered = readListed(message);
    if (delivered === undefined || listed.length >= messagesMax) return;
    wait();
    listed.push(delivered.message);
    if (listed.length < messagesMax && delivered.pending > 0) return;
    // Further deliveries in flight are not taken.
    subscription.unsubscribe();
    end();
  });
  let consumer: string | undefined;
  try {
    wait();
    await transport.flush();
    const made = await ask(`CONSUMER.CREATE.${stream}`, consumerOf(subject, from, options));
    consumer = textOf(made, "name");
    if (!isAnythingToCome(made)) end();
    await ended;
    return listed;
  } finally {
    clock.clearTimeout(timer);
    stopListening();
    subscription.unsubscribe();
    // The broker removes a consumer without a listener by itself.
    if (consumer !== undefined && transport.status === "connected")
      ask(`CONSUMER.DELETE.${stream}.${consumer}`, undefined).catch(() => undefined);
  }
}

function consumerOf(subject: string, from: number, { stream, filter }: ListingOptions): Fields {
  return {
    stream_name: stream,
    config: {
      deliver_subject: subject,
      deliver_policy: "by_start_sequence",
      opt_start_seq: from,
      filter_subject: filter,
      headers_only: true,
      ...passingConsumer(consumerHeartbeatMs),
    },
  };
}

/** Returns false if the consumer has nothing to deliver, and has not delivered anything either. */
function isAnythingToCome({ num_pending: pending, delivered }: Fields): boolean {
  return pending !== 0 || fieldsOf(delivered).consumer_seq !== 0;
}

function readListed(message: HeadedMessage): { readonly message: ListedMessage; readonly pending: number } | undefined {
  const { headers } = message;
  const place = placeOf(message);
  if (headers === undefined || place === undefined || Number.isNaN(place.pending)) return undefined;
  return { message: { sequence: place.sequence, time: place.time, headers }, pending: place.pending };
}
