import type { Log } from "../core/index.js";
import type { LinkStatus } from "./transport.js";

/**
 * The status of one transport and its listeners. A listener that throws is logged, and the others are called all the
 * same.
 */
export class LinkListeners {
  readonly #log: Log;
  readonly #listeners = new Set<{ readonly call: (status: LinkStatus) => void }>();
  #status: LinkStatus;

  constructor(log: Log, status: LinkStatus) {
    this.#log = log;
    this.#status = status;
  }

  get status(): LinkStatus {
    return this.#status;
  }

  addListener(listener: (status: LinkStatus) => void): () => void {
    const entry = { call: listener };
    this.#listeners.add(entry);
    return () => this.#listeners.delete(entry);
  }

  /** Returns false if nothing changed. A closed transport stays closed. */
  set(status: LinkStatus): boolean {
    if (status === this.#status || this.#status === "closed") return false;
    this.#status = status;
    // Listeners that are added meanwhile are called at the next change.
    for (const entry of Array.from(this.#listeners)) {
      if (this.#status !== status) break;
      try {
        entry.call(status);
      } catch (error) {
        this.#log.error({ err: error, status }, "a listener of the link threw");
      }
    }
    if (status === "closed") this.#listeners.clear();
    return true;
  }
}
