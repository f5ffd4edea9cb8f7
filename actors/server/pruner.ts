import { type Actor, createActor, fromPromise } from "xstate";
import { pruningMachine } from "../../machines/server/pruning.js";
import { backOff, ClosedError, limits, type Tid, tidMinus } from "../../core/index.js";
import type { StorageParts } from "./parts.js";

export interface PrunerDeps extends StorageParts {
  /** Oldest snapshot that a live client reads; undefined: none. */
  readonly oldestSnapshot: () => Tid | undefined;
  /** Runs one piece of work on the store between two batches. */
  readonly maintain: <T>(work: () => Promise<T>) => Promise<T>;
}

/** Removes the history of one storage that is older than `historyAgeMs` and that no live client reads. */
export class StoragePruner {
  readonly actor: Actor<typeof pruningMachine>;
  readonly #deps: PrunerDeps;
  #removed = 0;

  constructor(deps: PrunerDeps) {
    this.#deps = deps;
    this.actor = createActor(this.#provided(), { id: `server/${deps.storage}/pruning`, clock: deps.clock });
    this.actor.subscribe({ error: (error) => deps.log.error({ err: error, storage: deps.storage }, "pruning failed") });
    this.actor.start();
  }

  get state(): string {
    const { value } = this.actor.getSnapshot();
    return typeof value === "string" ? value : value.sweeping;
  }

  /** Number of entries removed since the start. */
  get removed(): number {
    return this.#removed;
  }

  stop(): void {
    this.actor.stop();
  }

  #provided(): typeof pruningMachine {
    const { storage, store, options, maintain, clock, log } = this.#deps;
    const { pruningIntervalMs: intervalMs } = options;
    return pruningMachine.provide({
      actors: {
        raiseFloor: fromPromise(async () => {
          const floor = this.#floorWanted();
          if (floor !== undefined && floor > store.historyFloor) await maintain(() => store.raiseHistoryFloor(floor));
        }),
        step: fromPromise(async () => {
          const { removed, done } = await maintain(() => store.pruneStep(limits.pruningStepMsMax, clock));
          this.#removed += removed;
          return { done };
        }),
      },
      actions: {
        logSwept: () => log.debug({ storage, floor: store.historyFloor, removed: this.#removed }, "swept"),
        logFailed: (_, { error }) => {
          // The storage closes, which is logged elsewhere.
          if (!(error instanceof ClosedError)) log.warn({ err: error, storage }, "a sweep failed");
        },
        logUnexpected: ({ event }) => log.warn({ storage, event: event.type }, "an unexpected event"),
      },
      delays: {
        pruningInterval: intervalMs,
        backOff: ({ context }) => backOff(context.sweepsFailed, { delayMsMin: limits.retryDelayMsMin, delayMsMax: intervalMs }),
      },
    });
  }

  #floorWanted(): Tid | undefined {
    const { store, options, oldestSnapshot } = this.#deps;
    const { historyAgeMs } = options.store;
    if (historyAgeMs === undefined) return undefined;
    const byAge = tidMinus(store.position.tid, historyAgeMs);
    const oldest = oldestSnapshot();
    return oldest !== undefined && oldest < byAge ? oldest : byAge;
  }
}
