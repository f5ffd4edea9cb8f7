import { type Clock, type Log, silentLog, systemClock } from "../../core/index.js";
import { RareWarning } from "../rare-warning.js";
import type { Transport } from "../transport.js";

export interface EarlierNodesDeps {
  readonly transport: Transport;
  readonly clock?: Clock;
  readonly log?: Log;
}

/**
 * Listens for nodes of a version that said everything on `subject` itself: `heard` is called for each of their messages, and the log is told.
 * They do not hear this node, and which tags they invalidate is not read from what they say. What this gives ends it.
 */
export function hearEarlierNodes(deps: EarlierNodesDeps, subject: string, heard: () => void): () => void {
  const { transport, clock = systemClock, log = silentLog } = deps;
  const warning = new RareWarning(
    clock,
    log,
    "a node of an earlier version is on this bus, and does not hear this one: update it, or give it another prefix",
  );
  const subscription = transport.subscribe(subject, () => {
    warning.warn({ subject });
    heard();
  });
  return () => subscription.unsubscribe();
}
