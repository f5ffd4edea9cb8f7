import { type Actor, createActor, fromPromise } from "xstate";
import { pruningMachine, type Stepped } from "../../machines/server/pruning.js";
import { type Clock, limits } from "../../core/index.js";
import type { CacheCore } from "./core.js";

/** What a round of pruning removed. */
export interface Pruned {
  readonly entries: number;
  readonly tags: number;
}

/** Keeps a cache small: entries that lapsed go, and tags that nothing has depended on for long, in small steps. */
export class CachePruner {
  readonly actor: Actor<typeof pruningMachine>;
  readonly #core: CacheCore;
  readonly #clock: Clock;
  #timer: unknown;
  /** When #timer fires. */
  #dueMs = Infinity;
  /** By the round that the machine is in. */
  #removed: Pruned = { entries: 0, tags: 0 };

  constructor(core: CacheCore, clock: Clock) {
    this.#core = core;
    this.#clock = clock;
    const { autoPruneMs, autoPruneIntervalMs, log } = core.settings;
    this.actor = createActor(
      pruningMachine.provide({
        actors: {
          // Floors of tags are kept by the trie itself, with each tag that goes.
          raiseFloor: fromPromise<void>(() => Promise.resolve()),
          step: fromPromise<Stepped>(async () => {
            const { entries, tags, done } = this.#step(autoPruneMs);
            const shared = done ? await this.#sweepShared() : 0;
            this.#removed = { entries: this.#removed.entries + entries + shared, tags: this.#removed.tags + tags };
            return { done };
          }),
        },
        actions: {
          logSwept: () => {
            const { entries, tags } = this.#removed;
            this.#removed = { entries: 0, tags: 0 };
            if (entries + tags > 0) log.info({ entries, tags }, "pruned");
            else log.debug({ entries, tags }, "nothing to prune");
          },
          logFailed: (_, { error }) => log.warn({ err: error }, "a sweep failed"),
          logUnexpected: ({ event }) => log.warn({ event: event.type }, "an unexpected event"),
        },
        delays: {
          pruningInterval: autoPruneIntervalMs,
          backOff: ({ context }) => Math.min(limits.retryDelayMsMin * 2 ** context.sweepsFailed, autoPruneIntervalMs),
        },
      }),
      { id: "cache/pruning", clock },
    );
    this.actor.subscribe({ error: (error) => log.error({ err: error }, "pruning failed") });
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

  /** A whole round, in steps between which others run; tags unused for `unusedMs` go. */
  async prune(unusedMs: number): Promise<Pruned> {
    let entries = 0;
    let tags = 0;
    for (;;) {
      const step = this.#step(unusedMs);
      entries += step.entries;
      tags += step.tags;
      if (step.done) break;
      await new Promise<void>((resolve) => this.#core.settings.clock.setTimeout(resolve, 0));
    }
    entries += await this.#sweepShared();
    this.#core.settings.log.info({ entries, tags }, "pruned");
    return { entries, tags };
  }

  stop(): void {
    this.#clock.clearTimeout(this.#timer);
    this.actor.stop();
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

  /** Removes what is found without a look at all there is: what has expired, and tags that nothing needs. */
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

  /** What nodes share comes last, all at once: the broker is waited for, and nobody here is. */
  async #sweepShared(): Promise<number> {
    return (await this.#core.shared?.sweep()) ?? 0;
  }

  #step(unusedMs: number): Pruned & { readonly done: boolean } {
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
