import { deferred, DisconnectedError, onAbort, TimeoutError, type Seams } from "../../core/index.js";
import type { ReplayStart, StreamApi } from "./api.js";
import type { StreamNames } from "./stream-names.js";
import { type Delivery, readDelivered } from "./messages.js";
import type { HeadedMessage, HeadedTransport } from "../transport.js";

/** Status of a consumer's own messages: a heartbeat, or a question of flow control. */
export const consumerStatus = 100;

export interface ReplayOptions extends Seams {
  readonly transport: HeadedTransport;
  readonly api: StreamApi;
  /** Base subjects of the stream, and of this replay. */
  readonly names: Pick<StreamNames, "taken" | "replayed">;
  /** Silence of the stream after which the replay ends. */
  readonly silenceMsMax: number;
  /** Ends it early: with the link, with the bus. */
  readonly signal: AbortSignal;
}

/**
 * Passes the messages of the stream from `start` on to `take`, in order. All gaps are gaps of the stream itself: those
 * messages were superseded. Ends when `take` returns true. Rejects if a message is lost on the way, or none comes.
 */
export async function replay(start: ReplayStart, options: ReplayOptions, take: (delivery: Delivery) => boolean): Promise<void> {
  const { transport, api, names, clock, random, log, silenceMsMax, signal } = options;
  const subject = `${names.replayed}.${random.id()}`;
  let timer: unknown = undefined;
  let consumer: string | undefined;
  let number = 0;
  let isDone = false;
  const { promise: ended, resolve, reject } = deferred<void>();
  const wait = () => {
    clock.clearTimeout(timer);
    timer = clock.setTimeout(() => reject(new TimeoutError({ what: "replay of invalidations", timeoutMs: silenceMsMax })), silenceMsMax);
  };
  const subscription = transport.subscribe(subject, (message) => {
    if (message.headers?.code === consumerStatus) {
      answerConsumer(transport, message);
      return;
    }
    const delivery = readDelivered(message, names.taken);
    if (delivery === undefined || isDone) return;
    if (delivery.number !== ++number) {
      isDone = true;
      reject(new DisconnectedError({ address: subject }));
      return;
    }
    wait();
    isDone = take(delivery);
    if (isDone) resolve();
  });
  const stopListening = onAbort(signal, () => reject(signal.reason));
  // If a request below rejects first, no code awaits this promise.
  ended.catch(() => undefined);
  try {
    wait();
    await transport.flush();
    consumer = await api.deliver(subject, start);
    await ended;
  } finally {
    clock.clearTimeout(timer);
    stopListening();
    subscription.unsubscribe();
    if (consumer !== undefined && transport.status === "connected") {
      // The broker removes a consumer without a listener by itself.
      api.removeConsumer(consumer).catch((error: unknown) => log.debug({ err: error }, "a consumer was left to its idle time"));
    }
  }
}

/** Flow control: the consumer continues when it is answered. */
export function answerConsumer(transport: HeadedTransport, message: HeadedMessage): void {
  const nothing = new Uint8Array(0);
  message.reply?.(nothing);
  const stalled = message.headers?.get("Nats-Consumer-Stalled") ?? "";
  if (stalled !== "") transport.publish(stalled, nothing);
}
