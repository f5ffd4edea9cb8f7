/** Whether the actor at an address still answers, for the requests that wait for it and the watches of it. */
import type { Transport } from "../../transport/transport.js";
import { type Clock, limits } from "../../core/index.js";
import { actorRequest, heartbeatAnswer } from "../protocol/actor-messages.js";
import { readAnswer } from "../protocol/codec.js";

/** A waiting request, or a watch. */
export interface PulseMember {
  /** Id of a request that the actor's process knows by it. */
  readonly request?: string | undefined;
  /** The actor answered a heartbeat. `isWaiting`: its process knows the request, and has not answered it. */
  heard(registration: string, isWaiting: boolean): void;
  /** The actor has not answered for the heartbeat time-out, all this time. Called at each heartbeat. */
  silent(): void;
  /** There is a new link. */
  linked(): void;
  /** The actor system is closed. */
  closed(): void;
}

export interface PulseOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  /** Subject on which the actor takes requests. */
  readonly requests: string;
  /** An actor that has not answered for this time is lost. */
  readonly heartbeatTimeoutMs: number;
  /** The pulses of the system that beat now: it closes them when it is closed. */
  readonly beating: Set<Pulse>;
}

/**
 * Asks the process of an actor at each heartbeat whether it is alive, as long as there are members. Requests that are
 * answered within one interval cost no heartbeat.
 */
export class Pulse {
  readonly #options: PulseOptions;
  readonly #intervalMs: number;
  /** Each with the time at which it joined. */
  readonly #members = new Map<PulseMember, number>();
  #timer: unknown;
  #isBeating = false;
  /** Times here count only while this process runs: one that was suspended has not read its answers yet. */
  #awakeMs = 0;
  #lastBeatAt = 0;
  #heardAtMs = 0;
  #forgetStatus: (() => void) | undefined;

  constructor(options: PulseOptions) {
    this.#options = options;
    this.#intervalMs = (options.heartbeatTimeoutMs * limits.heartbeatIntervalMs) / limits.heartbeatTimeoutMs;
  }

  add(member: PulseMember): void {
    const { clock, transport } = this.#options;
    if (!this.#isBeating) this.#lastBeatAt = clock.monotonic();
    this.#members.set(member, this.#nowMs());
    if (this.#isBeating) return;
    this.#isBeating = true;
    this.#forgetStatus = transport.onStatus((status) => {
      if (status === "connected") for (const each of this.#members.keys()) each.linked();
    });
    this.#options.beating.add(this);
    this.#next();
  }

  remove(member: PulseMember): void {
    this.#members.delete(member);
  }

  /** The actor has answered something. */
  heard(): void {
    this.#heardAtMs = this.#nowMs();
  }

  /** Ends all requests and watches. */
  close(): void {
    const members = [...this.#members.keys()];
    this.#stop();
    for (const member of members) member.closed();
  }

  #stop(): void {
    this.#isBeating = false;
    this.#options.clock.clearTimeout(this.#timer);
    this.#forgetStatus?.();
    this.#options.beating.delete(this);
    this.#members.clear();
  }

  #nowMs(): number {
    return this.#awakeMs + Math.min(this.#options.clock.monotonic() - this.#lastBeatAt, 2 * this.#intervalMs);
  }

  /** Time at the last heartbeat without an answer for a member. */
  #silentMs(joinedAtMs: number): number {
    return this.#awakeMs - Math.max(this.#heardAtMs, joinedAtMs);
  }

  #next(): void {
    const { clock, heartbeatTimeoutMs } = this.#options;
    // The end of a member's time-out need not be a multiple of the interval. Members that end soon after each other
    // share a heartbeat. A watch that was silent for its time-out before stays a member.
    let waitMs = this.#intervalMs;
    for (const joinedAtMs of this.#members.values()) {
      const leftMs = heartbeatTimeoutMs - this.#silentMs(joinedAtMs);
      if (leftMs > 0) waitMs = Math.min(waitMs, Math.max(leftMs, this.#intervalMs / 20));
    }
    const timer = clock.setTimeout(() => this.#beat(), waitMs);
    // The requests themselves keep the process alive.
    (timer as { unref?(): void } | undefined)?.unref?.();
    this.#timer = timer;
  }

  #beat(): void {
    if (this.#members.size === 0) {
      this.#stop();
      return;
    }
    const { clock, heartbeatTimeoutMs } = this.#options;
    this.#awakeMs = this.#nowMs();
    this.#lastBeatAt = clock.monotonic();
    for (const [member, joinedAtMs] of this.#members) {
      if (this.#silentMs(joinedAtMs) >= heartbeatTimeoutMs) member.silent();
    }
    void this.#ask();
    this.#next();
  }

  /** Never rejects. */
  async #ask(): Promise<void> {
    const { transport, requests: subject, heartbeatTimeoutMs } = this.#options;
    const members = [...this.#members.keys()];
    const requests = members.flatMap(({ request }) => request ?? []).slice(0, limits.actorRequestsNamedMax);
    try {
      const payload = actorRequest.write({ type: "alive", requests });
      const { registration, waiting } = readAnswer(
        heartbeatAnswer,
        await transport.request(subject, payload, { timeoutMs: heartbeatTimeoutMs }),
      );
      this.heard();
      const known = new Set(waiting);
      const named = new Set(requests);
      for (const member of members) {
        if (!this.#members.has(member)) continue;
        // A request that was not named may be waiting there.
        const isWaiting = member.request === undefined || !named.has(member.request) || known.has(member.request);
        member.heard(registration, isWaiting);
      }
    } catch {
      // Silence: no link, no listener or no answer. The next heartbeat asks again.
    }
  }
}
