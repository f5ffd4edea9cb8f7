import { DisconnectedError, type Clock, type Log } from "../../core/index.js";
import { WaitingNotice } from "../../core/waiting-notice.js";
import type { Bus } from "../../transport/bus.js";
import type { Transport } from "../../transport/transport.js";

/** Why a node does not reach its bus: the problem of its link, else of the bus; undefined: no known problem. */
export function busProblem(bus: Bus | undefined, transport: Transport | undefined): Error | undefined {
  const ofLink = transport?.status === "disconnected" ? transport.problem : undefined;
  return ofLink ?? bus?.trouble;
}

export interface StartNoticeOptions {
  readonly bus: Bus;
  readonly transport: Transport;
  readonly clock: Clock;
  /** The log of the user's options. */
  readonly log: Log | undefined;
  readonly prefix: string;
}

/**
 * Logs what a newly opened cache waits for, until its node follows the bus. Until then the cache computes results and
 * keeps none.
 */
export function noticeUntilFollowing({ bus, transport, clock, log, prefix }: StartNoticeOptions): WaitingNotice {
  const { address } = transport;
  return new WaitingNotice({
    clock,
    log,
    message: "a cache waits for its invalidation bus, and keeps nothing meanwhile",
    facts: { prefix, address },
    problem: () =>
      bus.state.type === "following"
        ? undefined
        : (busProblem(bus, transport) ?? new DisconnectedError({ address, reason: "no answer yet" })),
  });
}
