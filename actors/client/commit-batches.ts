import { createActor, type Actor } from "xstate";
import { committingMachine, type CommittingEvent } from "../../machines/client/committing.js";
import { detachedClock } from "../../core/index.js";
import type { ClientConnectionOptions } from "./connection/connection-options.js";

/** The machine goes to idle at most this much late. Shorter than a person can see, and long against a commit. */
const lookDelayMs = 10;

export type CommitBatchesOptions = Pick<ClientConnectionOptions, "client" | "storage" | "clock" | "log" | "register">;

/**
 * Counts the commits under way that fit in one message, and shows them as a machine. A commit calls `begun`, then
 * `sent` and `answered`, or `notSent`. In a stream of commits each of these costs an addition and a comparison.
 */
export class CommitBatches {
  readonly #options: CommitBatchesOptions;
  readonly #actor: Actor<typeof committingMachine>;
  #hide: () => void = () => undefined;
  #unsent = 0;
  #unanswered = 0;

  constructor(options: CommitBatchesOptions) {
    const { client, storage, clock, log } = options;
    this.#options = options;
    const machine = committingMachine.provide({
      actions: { logUnexpected: ({ event }) => log.debug({ client, storage, event: event.type }, "unexpected event") },
      guards: { isAnyUnsent: () => this.#unsent > 0, isAnswerAwaited: () => this.#unanswered > 0 },
      delays: { lookDelay: lookDelayMs },
    });
    this.#actor = createActor(machine, { id: `client/${client}/committing`, clock: detachedClock(clock) });
  }

  /** Commits that are not sent, or not answered. */
  get underWay(): number {
    return this.#unsent + this.#unanswered;
  }

  get state() {
    return this.#actor.getSnapshot().value;
  }

  start(): void {
    const { client, storage, log, register } = this.#options;
    this.#hide = register("committing", this.#actor, () => ({ storage, unsent: this.#unsent, unanswered: this.#unanswered }));
    this.#actor.subscribe({ error: (error) => log.fatal({ client, storage, err: error }, "the machine of the commits stopped") });
    this.#actor.start();
  }

  close(): void {
    this.#hide();
    this.#send({ type: "CLOSE" });
  }

  /** A commit is under way. If the client is not connected, it waits for the link. */
  begun(isConnected: boolean): void {
    this.#unsent++;
    if (!isConnected && this.state === "idle") this.#send({ type: "LINK_AWAITED" });
  }

  /** The commit that began failed before it was sent. */
  notSent(): void {
    this.#unsent--;
    if (this.#unsent === 0 && this.state !== "waiting") this.#send({ type: "COMMITS_SENT" });
  }

  /** The commit that began was sent. */
  sent(): void {
    this.#unanswered++;
    this.notSent();
  }

  /** The commit that was sent got its answer, or lost it. */
  answered(): void {
    this.#unanswered--;
  }

  /** A commit may end after its client was killed: the machine takes no more events then. */
  #send(event: CommittingEvent): void {
    if (this.#actor.getSnapshot().status === "active") this.#actor.send(event);
  }
}
