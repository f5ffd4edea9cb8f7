import { AsyncResource } from "node:async_hooks";
import type { Call } from "./cached-work.js";
import type { Computation } from "../tracking/computation.js";
import { type Deferred, deferred } from "../../core/deferred.js";

/**
 * A call that waits for a flight and may need a flight of its own: it came after something was invalidated or changed, or it joined a
 * caller that may give up. It remembers the asynchronous context that it was made in, which costs a microsecond: only such calls pay for it.
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

  /** Settles as a new flight does, whose function runs in the context of this call: not in the context of the flight that has just ended. */
  fly(flyAgain: (call: Call) => Promise<unknown>): void {
    const { signal } = this.call;
    if (signal?.aborted === true) this.reject(signal.reason);
    else this.resolve(this.#context.runInAsyncScope(flyAgain, undefined, this.call));
  }
}
