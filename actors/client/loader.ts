import type { CachedRevision, ClientCache } from "../../storage/client-cache/client-cache.js";
import { type Deferred, deferred, DisconnectedError, limits, MalformedMessageError, type Tid } from "../../core/index.js";
import type { ServerLink } from "./connection/server-link.js";
import * as wire from "../protocol/codec.js";

interface PendingLoad extends Deferred<CachedRevision> {
  readonly key: string;
  readonly snapshot: Tid;
}

export interface LoaderOptions {
  readonly cache: ClientCache;
  /** The verified link; undefined while there is none. */
  readonly link: () => ServerLink | undefined;
  readonly address: () => string;
  readonly loadsInFlightMax?: number | undefined;
}

/**
 * Loads revisions that are not cached. Loads of the same key at the same snapshot share one load. Loads of one snapshot
 * that begin in the same turn share one message. While loadsInFlightMax keys are in flight, further loads wait.
 */
export class Loader {
  readonly #options: LoaderOptions;
  readonly #inFlightMax: number;
  readonly #pending = new Map<Tid, Map<string, PendingLoad>>();
  #queue: PendingLoad[] = [];
  #inFlight = 0;
  #isScheduled = false;

  constructor(options: LoaderOptions) {
    this.#options = options;
    this.#inFlightMax = options.loadsInFlightMax ?? limits.loadsInFlightMax;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /**
   * Loads the revision of `key` at `snapshot`. Rejects as a request does: with DisconnectedError, TimeoutError,
   * SnapshotTooOldError.
   */
  load(key: string, snapshot: Tid): Promise<CachedRevision> {
    let atSnapshot = this.#pending.get(snapshot);
    if (atSnapshot === undefined) this.#pending.set(snapshot, (atSnapshot = new Map()));
    const same = atSnapshot.get(key);
    if (same !== undefined) return same.promise;
    const pending: PendingLoad = { key, snapshot, ...deferred<CachedRevision>() };
    atSnapshot.set(key, pending);
    this.#queue.push(pending);
    this.#schedule();
    return pending.promise;
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      this.#send();
    });
  }

  #send(): void {
    while (this.#queue.length > 0 && this.#inFlight < this.#inFlightMax) {
      const [first] = this.#queue;
      if (first === undefined) return;
      const countMax = Math.min(limits.listPageRowsMax, this.#inFlightMax - this.#inFlight);
      const group: PendingLoad[] = [];
      const rest: PendingLoad[] = [];
      for (const pending of this.#queue) (pending.snapshot === first.snapshot && group.length < countMax ? group : rest).push(pending);
      this.#queue = rest;
      this.#inFlight += group.length;
      void this.#load(first.snapshot, group).finally(() => {
        this.#inFlight -= group.length;
        this.#send();
      });
    }
  }

  async #load(snapshot: Tid, group: readonly PendingLoad[]): Promise<void> {
    const link = this.#options.link();
    if (link === undefined) {
      this.#fail(group, new DisconnectedError({ address: this.#options.address() }));
      return;
    }
    const { cache } = this.#options;
    const ticket = cache.beginLoad(snapshot);
    try {
      const payload = wire.load.write({ session: link.session, snapshot, keys: group.map(({ key }) => key) });
      const { asOf, revisions } = await link.request("load", payload, wire.loadAnswer);
      if (revisions.length === 0) throw new MalformedMessageError({ what: "load answer", reason: "holds nothing" });
      for (const [index, pending] of group.entries()) {
        const revision = revisions[index];
        if (revision === undefined) {
          // The answer was full. Request this revision again.
          this.#queue.push(pending);
          continue;
        }
        try {
          const cached = cache.admit(ticket, pending.key, revision, asOf);
          this.#forget(pending);
          pending.resolve(cached);
        } catch (error) {
          this.#fail([pending], error);
        }
      }
    } catch (error) {
      this.#fail(group, error);
    } finally {
      cache.endLoad(ticket);
    }
  }

  #fail(group: readonly PendingLoad[], error: unknown): void {
    for (const pending of group) {
      this.#forget(pending);
      pending.reject(error);
    }
  }

  #forget(pending: PendingLoad): void {
    const atSnapshot = this.#pending.get(pending.snapshot);
    atSnapshot?.delete(pending.key);
    if (atSnapshot?.size === 0) this.#pending.delete(pending.snapshot);
  }
}
