import { AsyncResource } from "node:async_hooks";
import type { Call } from "./cached-work.js";
import type { Computation } from "../tracking/computation.js";
import { type Deferred, deferred } from "../../core/deferred.js";

/**
 * A call that waits for a flight and may need a flight of its own: it came after an invalidation or a change, or it
 * joined a caller that may abort. It remembers the asynchronous context of the call, which costs a microsecond: only
 * such calls pay for it.
 */
export class FlightWaiter {
  readonly call: Call;
  /** Computations of other caches that the call is part of. */
  readonly readers: readonly Computation[];
  readonly #context = new AsyncResource("zooid:call");
  readonly #outcome: Deferred<unknown> = deferred();

  constructor(call: Call, readers: readonly Computation[]) {
    this.call = call;
    this.readers = readers;
  }

  get promise(): Promise<unknown> {
    return this.#outcome.promise;
  }

  resolve(value: unknown): void {
    this.#outcome.resolve(value);
  }

  reject(error: unknown): void {
    this.#outcome.reject(error);
  }

  /** Settles like a new flight, whose function runs in the context of this call, not of the flight that just ended. */
  fly(flyAgain: (call: Call) => Promise<unknown>): void {
    const { signal } = this.call;
    if (signal?.aborted === true) this.reject(signal.reason);
    else this.resolve(this.#context.runInAsyncScope(flyAgain, undefined, this.call));
  }
}
