/** Failures of actors: what follows one, and who learns of it. */
import { isThenable, type Seams } from "../../core/index.js";
import { reasonOf } from "./containment.js";

/** The decision about a failed actor. */
export type AfterFailure =
  { readonly next: "restart"; readonly restartInMs: number } | { readonly next: "escalate" | "stop"; readonly restartInMs: undefined };

/** One failure of a registered actor, and what follows it. */
export interface ActorFailure {
  readonly path: string;
  readonly error: unknown;
  /** Message of the error, in one line. */
  readonly reason: string;
  /** How many times the actor has failed since it was registered, with this one. */
  readonly failures: number;
  /**
   * `restart`: it is started again after `restartInMs`. `escalate`: it has failed too often to be started again, or its
   * state could not be kept. `stop`: nothing starts it again.
   */
  readonly next: AfterFailure["next"];
  readonly restartInMs: number | undefined;
  /** Wall clock, in milliseconds. */
  readonly at: number;
}

/** Listener of failures. If it throws or rejects, that is logged. */
export type OnFailure = (failure: ActorFailure) => unknown;

/** Logs the failures of a system's actors, and passes them to its listeners. */
export class Failures {
  readonly #seams: Pick<Seams, "clock" | "log">;
  readonly #listeners = new Set<OnFailure>();

  constructor(seams: Pick<Seams, "clock" | "log">) {
    this.#seams = seams;
  }

  /** The returned function removes the listener. */
  add(listener: OnFailure): () => void {
    const own: OnFailure = (failure) => listener(failure);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  /** Calls the listeners, and `own` after them. */
  report(failed: { readonly path: string; readonly error: unknown; readonly failures: number }, after: AfterFailure, own: OnFailure): void {
    const { path, error, failures } = failed;
    const failure = { ...failed, ...after, reason: reasonOf(error), at: this.#seams.clock.now() };
    this.#seams.log.error({ actor: path, err: error, failures, ...after }, "a registered actor failed");
    for (const listener of [...this.#listeners, own]) this.#call(listener, failure);
  }

  #call(listener: OnFailure, failure: ActorFailure): void {
    const failedToo = (thrown: unknown): void => {
      this.#seams.log.error({ actor: failure.path, err: thrown }, "a listener of an actor's failures failed");
    };
    try {
      const done = listener(failure);
      if (isThenable(done)) Promise.resolve(done).catch(failedToo);
    } catch (thrown) {
      failedToo(thrown);
    }
  }
}
