import { DisconnectedError, type Clock, type Log } from "../../core/index.js";
import { WaitingNotice } from "../../core/waiting-notice.js";
import type { Bus } from "../../transport/bus.js";
import type { Transport } from "../../transport/transport.js";

/** What keeps a node from its bus: its link, or the bus itself; undefined: nothing that is known. */
export function busProblem(bus: Bus | undefined, transport: Transport | undefined): Error | undefined {
  const ofLink = transport?.status === "disconnected" ? transport.problem : undefined;
  return ofLink ?? bus?.trouble;
}

export interface StartNoticeOptions {
  readonly bus: Bus;
  readonly transport: Transport;
  readonly clock: Clock;
  /** The log that the user gave. */
  readonly log: Log | undefined;
  readonly prefix: string;
}

/** Says what a cache that has just been opened lacks, until its node follows the bus: till then it computes, and keeps nothing. */
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
