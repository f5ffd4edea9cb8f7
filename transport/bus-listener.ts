import { assert, type Log } from "../core/index.js";
import type { BusEvent } from "./bus.js";

/** The one listener of a bus. An error that it throws is logged, and does not affect the bus or other nodes. */
export class BusListener {
  readonly #log: Log;
  #listener: ((event: BusEvent) => void) | undefined;
  /** Its last `following` came after its last `cut`. */
  #isFollowing = false;

  constructor(log: Log) {
    this.#log = log;
  }

  set(listener: (event: BusEvent) => void): void {
    assert(this.#listener === undefined, "a bus has one listener");
    this.#listener = listener;
  }

  /** The node is cut off from the bus because of `reason`. Has no effect if it does not follow. */
  cut(reason: string, facts: Readonly<Record<string, unknown>>): void {
    if (!this.#isFollowing) return;
    this.#log.warn({ ...facts, reason }, "cut off from the invalidation bus");
    this.notify({ type: "cut" });
  }

  notify(event: BusEvent): void {
    if (event.type === "following") this.#isFollowing = true;
    else if (event.type === "cut") this.#isFollowing = false;
    try {
      this.#listener?.(event);
    } catch (error) {
      this.#log.error({ err: error, event: event.type }, "a listener of the bus threw");
    }
  }
}
