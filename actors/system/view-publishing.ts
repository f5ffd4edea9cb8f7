import type { AnyActorRef } from "xstate";
import { type Clock, limits } from "../../core/index.js";

const secondMs = 1_000;

/**
 * Publishes an actor's view at each change while a lease lasts, at most `actorViewsPerSecondMax` times a second.
 */
export class ViewPublishing {
  readonly #clock: Clock;
  readonly #show: () => void;
  #actor: AnyActorRef;
  /** End of the last lease, for all watchers together: nothing is kept for each of them. Monotonic, in milliseconds. */
  #watchedUntil = 0;
  #following: { unsubscribe(): void } | undefined;
  #secondBeganAt = 0;
  #viewsThisSecond = 0;
  #late: unknown;

  /** `show` publishes the view of this moment. It does not throw. */
  constructor(actor: AnyActorRef, clock: Clock, show: () => void) {
    this.#actor = actor;
    this.#clock = clock;
    this.#show = show;
  }

  /** Begins or renews the lease. */
  watch(): void {
    this.#watchedUntil = this.#clock.monotonic() + limits.actorLeaseMs;
    this.#follow();
  }

  /** The actor is another one now. */
  replace(actor: AnyActorRef): void {
    this.#following?.unsubscribe();
    this.#following = undefined;
    this.#actor = actor;
    if (this.#clock.monotonic() <= this.#watchedUntil) this.#follow();
  }

  /** Shows the actor soon, if it is watched. */
  changed(): void {
    const now = this.#clock.monotonic();
    if (now > this.#watchedUntil) {
      this.stop();
      return;
    }
    if (this.#late !== undefined) return;
    if (now - this.#secondBeganAt >= secondMs) {
      this.#secondBeganAt = now;
      this.#viewsThisSecond = 0;
    }
    this.#viewsThisSecond += 1;
    if (this.#viewsThisSecond <= limits.actorViewsPerSecondMax) {
      this.#show();
      return;
    }
    this.#late = this.#clock.setTimeout(
      () => {
        this.#late = undefined;
        this.#show();
      },
      this.#secondBeganAt + secondMs - now,
    );
  }

  stop(): void {
    this.#following?.unsubscribe();
    this.#following = undefined;
    this.#clock.clearTimeout(this.#late);
    this.#late = undefined;
  }

  #follow(): void {
    const { status } = this.#actor.getSnapshot() as { readonly status: string };
    if (this.#following !== undefined || status !== "active") return;
    const changed = () => this.changed();
    this.#following = this.#actor.subscribe({ next: changed, complete: changed, error: changed });
  }
}
