import type { Bus, BusVersion } from "../transport/bus.js";
import { type Chance, ClosedError, type Clock, isBelow, limits, type Log, rootTag, type Tag } from "../words/index.js";
import { retryDelay } from "./retry-delay.js";

/** What became of an invalidation: other nodes will hear of it now, or as soon as the bus takes it. */
export type Publication = "published" | "queued";

/** An invalidation on its way to the bus. */
export interface Outgoing {
  readonly id: string;
  readonly tag: Tag;
  /** The bus may have it already: what becomes stale from now on needs another. */
  isSent: boolean;
  /** Told its version once, with those that it swallowed. */
  readonly onSettled: ((version: BusVersion) => void)[];
  readonly published: Promise<void>;
  readonly resolve: () => void;
}

/** What an outbox needs of its surroundings. */
export interface OutboxAround {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly log: Log;
  readonly publishTimeoutMs: number;
  readonly entriesMax: number;
}

/**
 * Invalidations of this node that the bus has not acknowledged.
 *
 * 1. One that was handed to the bus is never changed: it may have its sequence already, and what came later is not covered by it.
 * 2. Of those that wait there is one a tag, and none below another's: a parent swallows its children.
 * 3. More than `entriesMax` become one of the root: too much, never too little.
 *
 * Source: DESIGN "Pending"; INTERLEAVINGS B7.
 */
export class Outbox {
  readonly #around: OutboxAround;
  readonly #waiting = new Map<Tag, Outgoing>();
  readonly #sent = new Map<string, Outgoing>();
  /** Invalidations that were not published within the time-out, since it was made. */
  queued = 0;
  /** Times it was full. */
  overflows = 0;
  #retry: unknown;
  #failures = 0;
  #isClosed = false;

  constructor(around: OutboxAround) {
    this.#around = around;
  }

  /** Invalidations that the bus has not acknowledged. */
  get size(): number {
    return this.#waiting.size + this.#sent.size;
  }

  /** Takes an invalidation; `onSettled` is told its version, or that of one which covers it. */
  add(tag: Tag, onSettled: (version: BusVersion) => void, id = this.#around.chance.id()): Outgoing {
    const outgoing = this.#cover(tag) ?? this.#enqueue(tag, id);
    outgoing.onSettled.push(onSettled);
    this.flush();
    return outgoing;
  }

  /** Resolves to what became of `outgoing` within the time-out. */
  async outcome(outgoing: Outgoing): Promise<Publication> {
    const { clock, publishTimeoutMs } = this.#around;
    let timer: unknown;
    const timedOut = new Promise<Publication>((resolve) => {
      timer = clock.setTimeout(() => {
        this.queued++;
        resolve("queued");
      }, publishTimeoutMs);
    });
    const published = outgoing.published.then((): Publication => "published");
    try {
      return await Promise.race([published, timedOut]);
    } finally {
      clock.clearTimeout(timer);
    }
  }

  /** The bus told of the invalidation `id`, which is ours if this gives something. */
  heard(id: string, version: BusVersion): Outgoing | undefined {
    const outgoing = this.#sent.get(id);
    if (outgoing !== undefined) this.#settle(outgoing, version);
    return outgoing;
  }

  /** Hands to the bus what waits, when it takes something. */
  flush(): void {
    const { bus } = this.#around;
    if (this.#isClosed || this.#retry !== undefined || bus.state.type !== "following") return;
    for (const outgoing of this.#waiting.values()) {
      if (this.#sent.size >= limits.outboxSentMax) return;
      this.#waiting.delete(outgoing.tag);
      this.#sent.set(outgoing.id, outgoing);
      outgoing.isSent = true;
      this.#send(outgoing);
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#around.clock.clearTimeout(this.#retry);
    this.#waiting.clear();
  }

  #send(outgoing: Outgoing): void {
    const { bus, log } = this.#around;
    bus.publish(outgoing.tag, outgoing.id).then(
      (version) => {
        if (this.#failures > 0) log.info({ tag: outgoing.tag, failures: this.#failures }, "invalidations are published again");
        this.#failures = 0;
        this.#settle(outgoing, version);
      },
      (error: unknown) => {
        if (this.#isClosed || error instanceof ClosedError) return;
        const facts = { err: error, tag: outgoing.tag };
        if (this.#failures === 0) log.warn(facts, "invalidations are not published");
        else log.debug(facts, "an invalidation was not published");
        this.#sendAgain(outgoing);
      },
    );
  }

  /** Under the same id: a second copy only invalidates too much. */
  #sendAgain(outgoing: Outgoing): void {
    const { clock, chance } = this.#around;
    const delayMs = retryDelay(this.#failures++, chance);
    this.#retry = clock.setTimeout(() => {
      this.#retry = undefined;
      if (this.#sent.has(outgoing.id)) this.#send(outgoing);
      this.flush();
    }, delayMs);
  }

  #settle(outgoing: Outgoing, version: BusVersion): void {
    if (!this.#sent.delete(outgoing.id)) return;
    for (const settled of outgoing.onSettled) settled(version);
    outgoing.resolve();
    this.flush();
  }

  /** One that waits and covers `tag`. */
  #cover(tag: Tag): Outgoing | undefined {
    if (this.#waiting.size === 0) return undefined;
    let above: string = tag;
    for (;;) {
      const waiting = this.#waiting.get(above as Tag);
      if (waiting !== undefined) return waiting;
      if (above === "") return undefined;
      above = above.slice(0, Math.max(0, above.lastIndexOf(":")));
    }
  }

  #enqueue(tag: Tag, id: string): Outgoing {
    let resolve = (): void => undefined;
    const published = new Promise<void>((settle) => {
      resolve = settle;
    });
    const isFull = this.#waiting.size >= this.#around.entriesMax;
    const outgoing: Outgoing = { id, tag: isFull ? rootTag : tag, isSent: false, onSettled: [], published, resolve };
    if (isFull) this.overflows++;
    if (isFull) this.#around.log.warn({ entries: this.#waiting.size }, "the outbox is full: everything is invalidated");
    for (const child of this.#waiting.values()) {
      if (!isBelow(child.tag, outgoing.tag)) continue;
      this.#waiting.delete(child.tag);
      outgoing.onSettled.push(...child.onSettled);
      void published.then(child.resolve);
    }
    this.#waiting.set(outgoing.tag, outgoing);
    return outgoing;
  }
}
