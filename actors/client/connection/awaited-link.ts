import { abortable } from "../../../core/aborting.js";
import { retryDelay } from "../../../core/backoff.js";
import { ClosedError, DisconnectedError, ReadOnlyError, ServerBusyError, TimeoutError } from "../../../core/index.js";
import type { ClientConnectionOptions } from "./connection-options.js";
import type { ConnectionState } from "./connection-snapshot.js";
import { unconnectedError } from "./missing.js";
import type { ServerLink } from "./server-link.js";
import { Waiting } from "./waiters.js";

/** A link that may be lost and made again. Calls wait for it. */
export abstract class AwaitedLink {
  /**
   * Calls that wait. They are released once the link is verified, and rejected when the server refuses the client, or
   * the client ends.
   */
  protected readonly ready: Waiting;
  readonly #options: ClientConnectionOptions;

  constructor(options: ClientConnectionOptions) {
    this.#options = options;
    this.ready = new Waiting(options.clock);
  }

  abstract get state(): ConnectionState;

  /** The client is registered with a server, and its cache is verified. */
  abstract get isConnected(): boolean;

  /** The verified link to the server; undefined while there is none. */
  abstract get link(): ServerLink | undefined;

  /** Address that the client is linked to, or tries to reach. For people. */
  abstract get address(): string;

  /** Why the client is not connected. */
  abstract get problem(): Error | undefined;

  /** The client was connected before. */
  protected abstract get wasConnected(): boolean;

  /** Why the server refuses this client; undefined while it does not refuse. */
  get refusal(): Error | undefined {
    return this.state === "refused" ? this.problem : undefined;
  }

  /** The error that a call gets while the client is not connected; undefined while it is connected. */
  get whyNotConnected(): Error | undefined {
    return this.isConnected || this.state === "closed" ? undefined : (this.refusal ?? this.#unconnected());
  }

  /**
   * Waits at most `timeoutMs` for the link. Then rejects with DisconnectedError, or with ServerBusyError when a
   * server is there and has no room. Rejects at once with the error of a server that refused this client for good,
   * with ClosedError, or with the signal's reason.
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

  /**
   * As `connected`, but continues to wait when a server refuses the client: the server may be repaired, or it may be
   * the wrong one of two.
   */
  async connectedInTime(timeoutMs: number): Promise<ServerLink> {
    const { clock } = this.#options;
    const deadline = clock.monotonic() + timeoutMs;
    const leftMs = () => deadline - clock.monotonic();
    for (;;) {
      try {
        return await this.connected(leftMs());
      } catch (error) {
        if (leftMs() <= 0 || this.state === "closed") throw error;
        // Any next answer of a server ends this wait.
        if (this.state === "refused") await this.ready.wait(leftMs(), () => this.disconnected()).catch(() => undefined);
      }
    }
  }

  /** As `connected`, for a write. Throws ReadOnlyError when the client or the server is read-only. */
  async writable(timeoutMs?: number, signal?: AbortSignal): Promise<ServerLink> {
    if (this.#options.readOnly) throw new ReadOnlyError({ who: "client" });
    const link = await this.connected(timeoutMs, signal);
    if (this.state === "readOnly") throw new ReadOnlyError({ who: "server" });
    return link;
  }

  /**
   * Runs `attempt` on the verified link. When it fails with the link, or has no answer in time, it runs again on the
   * next link, for at most `timeoutMs` in all. Rejects as `connected` does, as `attempt` does, or with the signal's
   * reason.
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
      // A link may stay up and fail each request at once. A new link, or the end of the client, ends the pause.
      const pauseMs = Math.min(retryDelay(failures, random), Math.max(0, leftMs()));
      await this.ready.wait(pauseMs, () => this.disconnected(), signal).catch(() => signal?.throwIfAborted());
    }
  }

  /** Returns an error that says why there is no link, if the client knows. */
  protected disconnected(): DisconnectedError {
    return unconnectedError(this.#options, this.problem, this.wasConnected);
  }

  #unconnected(): DisconnectedError | ServerBusyError {
    const { problem } = this;
    return problem instanceof ServerBusyError ? problem : this.disconnected();
  }
}
