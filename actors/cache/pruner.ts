import { type Actor, createActor, fromPromise } from "xstate";
import { cachePruningMachine, type CacheSwept } from "../../machines/cache/cache-pruning.js";
import { backOff, type Clock, ClosedError, type Deferred, deferred, delay, detachedClock, limits } from "../../core/index.js";
import type { CacheCore } from "./core.js";

/** Numbers of entries and tags that a sweep removed. */
export interface Pruned {
  readonly entries: number;
  readonly tags: number;
}

/**
 * Keeps a cache small: removes entries that lapsed, and tags that nothing has depended on for long, in small steps. The
 * machine begins the sweeps, which look at every entry. Entries whose expiry is known are removed when they expire.
 */
export class CachePruner {
  readonly actor: Actor<typeof cachePruningMachine>;
  readonly #core: CacheCore;
  readonly #clock: Clock;
  #timer: unknown;
  /** Time at which #timer fires. */
  #dueMs = Infinity;
  /** Result of the sweep that runs, for the calls that wait for it. */
  #served: Deferred<Pruned> | undefined;
  /** Result of the next sweep, for the calls that wait for it. */
  #waiting: Deferred<Pruned> | undefined;

  constructor(core: CacheCore, clock: Clock) {
    this.#core = core;
    this.#clock = detachedClock(clock);
    const { log, autoPruneMs } = core.settings;
    this.actor = createActor(this.#provided(), { id: "cache/pruning", clock: this.#clock, input: { usualUnusedMs: autoPruneMs } });
    this.actor.subscribe({
      error: (error) => {
        log.error({ err: error }, "pruning failed");
        this.#failCalls(error);
      },
    });
    this.actor.start();
    const { memory, disk, trie } = core;
    for (const tier of [memory, disk]) {
      tier?.onExpiresEarlier((atMs) => {
        this.#expireAt(atMs);
      });
    }
    trie.onIdle((atMs) => {
      this.#expireAt(atMs + limits.expiryIntervalMs);
    });
    this.#expireAt(disk?.expiresNextMs ?? Infinity);
  }

  /**
   * Runs a whole sweep that begins after this call, and removes tags unused for `unusedMs`. A call during a sweep waits
   * for the next one. All calls that wait share that sweep and its result; it takes the shortest `unusedMs` among
   * theirs. Rejects with ClosedError after `stop`, otherwise with the error of the step that failed.
   */
  prune(unusedMs: number): Promise<Pruned> {
    if (this.actor.getSnapshot().status !== "active") return Promise.reject(new ClosedError({ what: "cache" }));
    const { promise } = (this.#waiting ??= deferred<Pruned>());
    this.actor.send({ type: "PRUNE", unusedMs });
    return promise;
  }

  stop(): void {
    this.#clock.clearTimeout(this.#timer);
    this.actor.stop();
    this.#failCalls(new ClosedError({ what: "cache" }));
  }

  #failCalls(error: unknown): void {
    this.#served?.reject(error);
    this.#waiting?.reject(error);
  }

  #provided(): typeof cachePruningMachine {
    const { autoPruneIntervalMs, log } = this.#core.settings;
    return cachePruningMachine.provide({
      actors: {
        step: fromPromise(async ({ input: { unusedMs } }) => {
          const step = this.#step(unusedMs);
          if (step.done) return { ...step, entries: step.entries + (await this.#sweepShared()) };
          await this.#pause();
          return step;
        }),
      },
      actions: {
        takeCalls: () => {
          this.#served = this.#waiting;
          this.#waiting = undefined;
        },
        answerCalls: ({ context: { entries, tags } }) => {
          this.#served?.resolve({ entries, tags });
          this.#served = undefined;
        },
        failCalls: (_, { error }) => {
          this.#served?.reject(error);
          this.#served = undefined;
        },
        logSwept: ({ context: { entries, tags } }) => {
          if (entries + tags > 0) log.info({ entries, tags }, "pruned");
          else log.debug({ entries, tags }, "nothing to prune");
        },
        logFailed: (_, { error }) => log.warn({ err: error }, "a sweep failed"),
        logUnexpected: ({ event }) => log.warn({ event: event.type }, "an unexpected event"),
      },
      delays: {
        pruningInterval: autoPruneIntervalMs,
        backOff: ({ context }) => backOff(context.sweepsFailed, { delayMsMin: limits.retryDelayMsMin, delayMsMax: autoPruneIntervalMs }),
      },
    });
  }

  /** Lets other code run. Timers of `#clock` keep no process alive: a process that awaits `prune` would end here. */
  async #pause(): Promise<void> {
    await delay(this.#core.settings.clock, 0);
  }

  #expireAt(atMs: number): void {
    if (atMs >= this.#dueMs) return;
    this.#clock.clearTimeout(this.#timer);
    this.#dueMs = atMs;
    const delayMs = Math.max(0, atMs - this.#clock.monotonic());
    this.#timer = this.#clock.setTimeout(
      () => {
        this.#dueMs = Infinity;
        this.#expire();
      },
      Math.min(delayMs, limits.timerMsMax),
    );
  }

  /** Removes what is found without a look at every entry: entries that have expired, and tags that nothing needs. */
  #expire(): void {
    const { memory, disk, trie, settings } = this.#core;
    const budgetMs = limits.pruningStepMsMax;
    const expired = [memory.expire(budgetMs), disk?.expire(budgetMs)];
    const forgotten = trie.forget(limits.expiryIntervalMs, budgetMs);
    const steps = [...expired, forgotten];
    if (settings.autoPruneMs < Infinity) steps.push(trie.prune(settings.autoPruneMs, budgetMs));
    const nowMs = this.#clock.monotonic();
    if (steps.some((step) => step?.done === false)) {
      this.#expireAt(nowMs);
      return;
    }
    this.#expireAt(Math.min(memory.expiresNextMs, disk?.expiresNextMs ?? Infinity));
    // Tags that became idle during the last step, and so are younger than the tag that the timer was set for.
    this.#expireAt(forgotten.dueMs);
    this.#expireAt(trie.idleSinceMs + Math.max(settings.autoPruneMs, limits.expiryIntervalMs));
  }

  /** The entries that nodes share come last, all at once: this waits for the broker, and holds up no call here. */
  async #sweepShared(): Promise<number> {
    return (await this.#core.shared?.sweep()) ?? 0;
  }

  #step(unusedMs: number): CacheSwept {
    const { memory, disk, trie } = this.#core;
    const budgetMs = limits.pruningStepMsMax;
    const swept = [memory.sweep(budgetMs), ...(disk === undefined ? [] : [disk.sweep(budgetMs)])];
    const pruned = unusedMs === Infinity ? { removed: 0, done: true } : trie.prune(unusedMs, budgetMs);
    return {
      entries: swept.reduce((sum, { removed }) => sum + removed, 0),
      tags: pruned.removed,
      done: pruned.done && swept.every(({ done }) => done),
    };
  }
}
