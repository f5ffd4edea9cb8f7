import { abortable } from "../core/aborting.js";
import { deferred } from "../core/deferred.js";
import { ClosedError } from "../core/errors.js";
import type { LinkStatus, Transport } from "./transport.js";

/**
 * Resolves when the link of `transport` has the status, which may be at once. Rejects with the signal's reason, or with
 * ClosedError if the transport is closed meanwhile.
 */
export async function untilStatus(transport: Transport, status: LinkStatus, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = deferred<undefined>();
  const look = (current: LinkStatus): void => {
    if (current === status) resolve(undefined);
    else if (current === "closed") reject(new ClosedError({ what: "transport" }));
  };
  const forget = transport.onStatus(look);
  look(transport.status);
  try {
    await abortable(promise, signal);
  } finally {
    forget();
  }
}
