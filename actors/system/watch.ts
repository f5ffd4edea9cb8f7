import type { Transport } from "../../transport/transport.js";
import { ActorLostError, DisconnectedError, limits, TimeoutError, ZooidError, type Seams } from "../../core/index.js";
import { actorView, type ActorView } from "../protocol/actor-messages.js";
import { readOrDrop } from "../protocol/codec.js";
import type { Pulse, PulseMember } from "./pulse.js";

export interface WatchOptions extends Pick<Seams, "clock" | "log"> {
  readonly transport: Transport;
  readonly path: string;
  /** Subject of the actor's views. */
  readonly views: string;
  readonly pulse: Pulse;
  /** Renews the lease of this watch at the actor, and returns its view. */
  readonly renew: () => Promise<ActorView>;
  readonly listener: (view: ActorView) => void;
  readonly onLost: (error: ZooidError) => void;
  /** An actor that was reached is lost only after silence for the heartbeat time-out, not when a renewal fails. */
  readonly isPatient: boolean;
}

/** One subscriber: renews its lease, passes new views to its listener, and reports that the actor is lost. */
export class Watch implements PulseMember {
  readonly #options: WatchOptions;
  readonly #views: { unsubscribe(): void };
  #timer: unknown;
  #closed = false;
  #newest: ActorView | undefined;
  #renewals = 0;
  #isLost = false;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#views = options.transport.subscribe(options.views, (message) => {
      const view = readOrDrop(actorView, message, options.log);
      if (view !== undefined) this.#take(view);
    });
    options.pulse.add(this);
    void this.#renew();
  }

  close(): void {
    this.#closed = true;
    this.#views.unsubscribe();
    this.#options.pulse.remove(this);
    this.#options.clock.clearTimeout(this.#timer);
  }

  closed(): void {
    this.close();
  }

  heard(registration: string): void {
    if (this.#isLost || (this.#newest !== undefined && this.#newest.registration !== registration)) void this.#renew();
  }

  silent(): void {
    const { transport, path } = this.#options;
    const isLinked = transport.status === "connected";
    this.#lost(isLinked ? new ActorLostError({ actor: path, isInDoubt: false }) : new DisconnectedError({ address: transport.address }));
  }

  linked(): void {
    void this.#renew();
  }

  /** Never rejects. */
  async #renew(): Promise<void> {
    const { clock, transport, renew, log, path } = this.#options;
    clock.clearTimeout(this.#timer);
    this.#renewals += 1;
    const renewal = this.#renewals;
    try {
      // The broker must know the subscription before the actor publishes, or a change in between would be missed.
      await transport.flush();
      this.#take(await renew());
    } catch (error) {
      if (this.#closed) return;
      if (this.#options.isPatient && this.#newest !== undefined && isUnreached(error)) return;
      if (error instanceof ZooidError) this.#lost(error);
      else log.error({ err: error, actor: path }, "a watch could not be renewed");
    } finally {
      // A link that came back may have begun another renewal meanwhile, which goes on.
      if (!this.#closed && renewal === this.#renewals) {
        this.#timer = clock.setTimeout(() => void this.#renew(), limits.actorLeaseRenewalMs);
      }
    }
  }

  #take(view: ActorView): void {
    const newest = this.#newest;
    if (this.#closed) return;
    this.#isLost = false;
    if (newest?.registration === view.registration && view.version <= newest.version) return;
    this.#newest = view;
    this.#options.listener(view);
  }

  #lost(error: ZooidError): void {
    if (this.#closed || this.#isLost) return;
    this.#isLost = true;
    this.#options.onLost(error);
  }
}

/** Whether the error says that a request had no answer, perhaps for a moment only. */
function isUnreached(error: unknown): boolean {
  return [ActorLostError, DisconnectedError, TimeoutError].some((kind) => error instanceof kind);
}
