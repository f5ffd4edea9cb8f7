import { abortable } from "../../../core/abortable.js";
import { retryDelay } from "../../../core/backoff.js";
import {
  type Clock,
  ClosedError,
  DisconnectedError,
  type Random,
  ReadOnlyError,
  ServerBusyError,
  TimeoutError,
} from "../../../core/index.js";
import { type Sought, unconnectedError } from "./missing.js";
import type { ServerLink } from "./server-link.js";
import { Waiting } from "./waiters.js";

/** State of a connection, as its machine draws them; `verifying`, `readWrite` and `readOnly` are those of `linked`. */
export type ConnectionState = "disconnected" | "registering" | "verifying" | "readWrite" | "readOnly" | "backingOff" | "refused" | "closed";

export interface AwaitedLinkOptions extends Sought {
  readonly clock: Clock;
  readonly random: Random;
  readonly readOnly: boolean;
  readonly waitTimeoutMs: number;
}

/** A link that comes and goes, and is waited for. */
export abstract class AwaitedLink {
  /** To be released when the link is verified, and failed when it will not be. */
  protected readonly ready: Waiting;
  readonly #options: AwaitedLinkOptions;

  constructor(options: AwaitedLinkOptions) {
    this.#options = options;
    this.ready = new Waiting(options.clock);
  }

  abstract get state(): ConnectionState;

  /** The link to the server, verified; undefined while there is none. */
  abstract get link(): ServerLink | undefined;

  /** Where it is linked to, or tries to be, for people. */
  abstract get address(): string;

  /** Why it is not connected. */
  abstract get problem(): Error | undefined;

  /** It was connected before. */
  protected abstract get wasConnected(): boolean;

  get isConnected(): boolean {
    return this.state === "readWrite" || this.state === "readOnly";
  }

  /** Why the server refuses this client; undefined while it does not. */
  get refusal(): Error | undefined {
    return this.state === "refused" ? this.problem : undefined;
  }

  /** The error that a call gets while it is not connected; undefined while it is. */
  get whyNotConnected(): Error | undefined {
    return this.isConnected || this.state === "closed" ? undefined : (this.refusal ?? this.#unconnected());
  }

  /**
   * The link, waited for at most `timeoutMs`. Rejects with DisconnectedError after it, or with ServerBusyError when a server is there and
   * has no room; at once with the error of a server that refused this client for good, with ClosedError, or with the signal's reason.
   */
  async connected(timeoutMs = this.#options.waitTimeoutMs, signal?: AbortSignal): Promise<ServerLink> {
    for (;;) {
      const { link } = this;
      if (link !== undefined) return link;
      if (this.state === "closed") throw new ClosedError({ what: "client" });
      const { refusal } = this;
      if (refusal !== undefined) throw refusal;
      const since = this.#options.clock.monotonic();
      await this.ready.wait(timeoutMs, () => this.#unconnected(), signal);
      timeoutMs -= this.#options.clock.monotonic() - since;
    }
  }

  /** As `connected`, but a server that refuses this client is waited for too: it may be repaired, or be the wrong one of two. */
  async connectedInTime(timeoutMs: number): Promise<ServerLink> {
    const { clock } = this.#options;
    const deadline = clock.monotonic() + timeoutMs;
    const leftMs = () => deadline - clock.monotonic();
    for (;;) {
      try {
        return await this.connected(leftMs());
      } catch (error) {
        if (leftMs() <= 0 || this.state === "closed") throw error;
        // Until the next answer of a server, whatever it is.
        if (this.state === "refused") await this.ready.wait(leftMs(), () => this.disconnected()).catch(() => undefined);
      }
    }
  }

  /** As `connected`, for a write. Throws ReadOnlyError when the client or the server is. */
  async writable(timeoutMs?: number, signal?: AbortSignal): Promise<ServerLink> {
    if (this.#options.readOnly) throw new ReadOnlyError({ who: "client" });
    const link = await this.connected(timeoutMs, signal);
    if (this.state === "readOnly") throw new ReadOnlyError({ who: "server" });
    return link;
  }

  /**
   * What `attempt` comes to on the verified link. One that fails with its link, or has no answer in time, is made again on the next
   * one, for at most `timeoutMs` in all. Rejects as `connected` does, with what `attempt` rejects with, or with the signal's reason.
   */
  async overReconnects<T>(
    attempt: (link: ServerLink, leftMs: number) => Promise<T>,
    { timeoutMs = this.#options.waitTimeoutMs, signal }: { readonly timeoutMs?: number; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<T> {
    const { clock, random } = this.#options;
    const deadline = clock.monotonic() + timeoutMs;
    const leftMs = () => deadline - clock.monotonic();
    for (let failures = 1; ; failures++) {
      const link = await this.connected(leftMs(), signal);
      try {
        return await abortable(attempt(link, leftMs()), signal);
      } catch (error) {
        const isOfLink = error instanceof DisconnectedError || error instanceof TimeoutError;
        if (!isOfLink || signal?.aborted === true || leftMs() <= 0) throw error;
      }
      // A link may stand, and fail each request at once. A new link, and the end of the client, end the pause.
      const pauseMs = Math.min(retryDelay(failures, random), Math.max(0, leftMs()));
      await this.ready.wait(pauseMs, () => this.disconnected(), signal).catch(() => signal?.throwIfAborted());
    }
  }

  /** Says why there is no link, as far as it is known. */
  protected disconnected(): DisconnectedError {
    return unconnectedError(this.#options, this.problem, this.wasConnected);
  }

  #unconnected(): DisconnectedError | ServerBusyError {
    const { problem } = this;
    return problem instanceof ServerBusyError ? problem : this.disconnected();
  }
}
