import { silentLog, systemClock, type SeamOptions } from "../../core/index.js";
import { RareWarning } from "../rare-warning.js";
import type { Transport } from "../transport.js";

export interface EarlierNodesDeps extends Pick<SeamOptions, "clock" | "log"> {
  readonly transport: Transport;
}

/**
 * Listens for nodes of an earlier version, which published all their messages on `subject` itself. `heard` is called
 * for each message, and a warning is logged. Those nodes do not receive this node's messages, and the tags in their
 * messages are not read. The returned function stops it.
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
