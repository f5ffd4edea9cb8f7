import type { Log } from "../core/index.js";
import type { Message } from "./transport.js";

/** Calls `handler`. If it throws, or rejects although it should not be async, that is logged and goes no further. */
export function handle<M extends Message>(log: Log, handler: (message: M) => unknown, message: M): void {
  try {
    const result = handler(message);
    if (result instanceof Promise) {
      result.catch((error: unknown) => log.error({ err: error, subject: message.subject }, "a handler rejected"));
    }
  } catch (error) {
    log.error({ err: error, subject: message.subject }, "a handler threw");
  }
}
