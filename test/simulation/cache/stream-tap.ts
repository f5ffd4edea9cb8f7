import { historyHeader } from "../../../testing/simulated-stream.js";
import { placeOf } from "../../../transport/jetstream/messages.js";
import type { HeadedMessage, HeadedTransport } from "../../../transport/transport.js";
import type { CacheChecker, NodeLife } from "./cache-checker.js";

/**
 * Wraps `end`: before each message is handled, it shows `checker` in which history a stream numbered the message that
 * reaches `life`.
 */
export function tapStream(end: HeadedTransport, checker: CacheChecker, life: NodeLife): HeadedTransport {
  const look = (message: HeadedMessage): void => {
    const history = message.headers?.get(historyHeader) ?? "";
    const sequence = placeOf(message)?.sequence ?? Number(message.headers?.get("Nats-Sequence"));
    if (history !== "") checker.arrived(life, history, sequence);
  };
  end.onStatus(() => checker.relinked(life));
  return {
    kind: end.kind,
    get status() {
      return end.status;
    },
    address: end.address,
    payloadBytesMax: end.payloadBytesMax,
    publish: (subject, payload) => end.publish(subject, payload),
    request: (subject, payload, options) => end.request(subject, payload, options),
    subscribe: (subject, handler, options) => {
      const tapped = (message: HeadedMessage) => {
        look(message);
        handler(message);
      };
      return end.subscribe(subject, tapped, options);
    },
    onStatus: (listener) => end.onStatus(listener),
    flush: () => end.flush(),
    close: () => end.close(),
  };
}
