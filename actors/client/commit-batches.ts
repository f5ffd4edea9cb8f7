import { createActor, type Actor } from "xstate";
import { committingMachine, type CommittingEvent } from "../../machines/client/committing.js";
import type { Log } from "../../core/index.js";
import type { RegisterActor } from "./connection/shown-machines.js";

export interface CommitBatchesOptions {
  readonly client: string;
  readonly storage: string;
  readonly log: Log;
  /** Gives an actor of the client its address, until the returned function is called. */
  readonly register: RegisterActor;
}

/**
 * Counts the commits under way that fit in one message, and shows them as a machine. A commit calls `begun`, then
 * `sent` and `answered`, or `notSent`. Each costs an addition; the machine gets an event only when a count leaves zero
 * or returns to it.
 */
export class CommitBatches {
  readonly #options: CommitBatchesOptions;
  readonly #actor: Actor<typeof committingMachine>;
  #hide: () => void = () => undefined;
  #unsent = 0;
  #unanswered = 0;

  constructor(options: CommitBatchesOptions) {
    const { client, storage, log } = options;
    this.#options = options;
    const machine = committingMachine.provide({
      actions: { logUnexpected: ({ event }) => log.debug({ client, storage, event: event.type }, "unexpected event") },
      guards: { isAnswerAwaited: () => this.#unanswered > 0 },
    });
    this.#actor = createActor(machine, { id: `client/${client}/committing` });
  }

  /** Commits that are not sent, or not answered. */
  get underWay(): number {
    return this.#unsent + this.#unanswered;
  }

  get state(): string {
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

  /** A commit is under way. */
  begun(): void {
    if (this.#unsent++ === 0) this.#send({ type: "COMMITS_BEGUN" });
  }

  /** The commit that began failed before it was sent. */
  notSent(): void {
    if (--this.#unsent === 0) this.#send({ type: "COMMITS_SENT" });
  }

  /** The commit that began was sent. */
  sent(): void {
    this.#unanswered++;
    this.notSent();
  }

  /** The commit that was sent got its answer, or lost it. */
  answered(): void {
    if (--this.#unanswered === 0) this.#send({ type: "COMMITS_ANSWERED" });
  }

  /** A commit may end after its client was killed: the machine takes no more events then. */
  #send(event: CommittingEvent): void {
    if (this.#actor.getSnapshot().status === "active") this.#actor.send(event);
  }
}
