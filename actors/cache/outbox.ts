import type { Bus, BusVersion } from "../../transport/bus.js";
import { ClosedError, isBelow, limits, NotAuthorizedError, rootTag, type Tag, type Seams } from "../../core/index.js";
import { retryDelay } from "../../core/backoff.js";
import { CommonTimeout } from "../../core/common-timeout.js";
import type { NotesOfPlace } from "../record/notes.js";

/** Outcome of an invalidation: other nodes have it, or get it as soon as the bus accepts it. */
export type Publication = "published" | "queued";

/** The effect of an invalidation of a tag in this process, until the bus has numbered it. */
export interface Claim {
  /** Called once, with the version of this invalidation or of one that covers it. */
  settled(version: BusVersion): void;
  /** Called instead of `settled` when the broker does not let this node publish the invalidation. */
  refused(): void;
}

/** An invalidation that the bus has not acknowledged. */
export interface Outgoing<C extends Claim = Claim> {
  readonly id: string;
  readonly tag: Tag;
  /** The bus may have it already: what becomes stale from now on needs another invalidation. */
  isSent: boolean;
  /** Claims by tag: its own, those of invalidations that it swallowed, and those of invalidations that it covers. */
  readonly claims: Map<Tag, C>;
  /** Claims of tags that have another claim in `claims`. */
  readonly riders: C[];
  isPublished: boolean;
  /** Why it will never be published. */
  refusal: NotAuthorizedError | undefined;
  /** The invalidation that swallowed it. */
  within: Outgoing<C> | undefined;
  /** Callers that wait until it is published. */
  readonly waiters: Set<PublicationWaiter>;
}

/** A caller that waits for the outcome of an invalidation. */
interface PublicationWaiter {
  /** The invalidation that it waits for. Another one may have swallowed that meanwhile. */
  readonly outgoing: Outgoing;
  readonly resolve: (outcome: Publication) => void;
  readonly reject: (reason: Error) => void;
}

/** Dependencies of an outbox. */
export interface OutboxDeps extends Seams {
  readonly bus: Bus;
  readonly publishTimeoutMs: number;
  readonly entriesMax: number;
  /** Where invalidations are noted while a process watches. */
  readonly notes?: NotesOfPlace;
}

/**
 * Invalidations of this node that the bus has not acknowledged.
 *
 * 1. An invalidation that was handed to the bus never changes: it may have its sequence already, which does not cover
 *    later invalidations. Its id is drawn here, once: the bus may have taken an id of an earlier process already.
 * 2. Waiting invalidations have different tags, and none is below another: a parent swallows its children.
 * 3. More than `entriesMax` become one of the root: too much, never too little. The same bound holds for claims: past
 *    it, the claim of the covering tag also stands for the tags that it covers.
 *
 * Source: DESIGN "Pending"; INTERLEAVINGS B7.
 */
export class Outbox<C extends Claim = Claim> {
  readonly #deps: OutboxDeps;
  readonly #waiting = new Map<Tag, Outgoing<C>>();
  /** By tag: number of waiting invalidations below it. */
  readonly #below = new Map<string, number>();
  readonly #sent = new Map<string, Outgoing<C>>();
  /** Invalidations that were not published within the time-out, since the outbox was created. */
  queued = 0;
  /** How often the outbox was full. */
  overflows = 0;
  /** Handed to the bus, which failed to take them. They are sent again when #retry fires. */
  readonly #failed = new Set<Outgoing<C>>();
  #retry: unknown;
  #failures = 0;
  #isClosed = false;
  /** Number of claims that are not settled. */
  #claims = 0;
  readonly #unpublished: CommonTimeout<PublicationWaiter>;
  #onEmpty: (() => void)[] = [];

  constructor(deps: OutboxDeps) {
    this.#deps = deps;
    this.#unpublished = new CommonTimeout(deps.clock, deps.publishTimeoutMs, (waiter) => this.#timedOut(waiter));
  }

  /** Invalidations that the bus has not acknowledged. */
  get size(): number {
    return this.#waiting.size + this.#sent.size;
  }

  /** Ids under which they are, or will be, published. */
  get ids(): ReadonlySet<string> {
    const ids = new Set(this.#sent.keys());
    for (const { id } of this.#waiting.values()) ids.add(id);
    return ids;
  }

  /**
   * Takes an invalidation. `claim` returns the claim of its tag, or of a greater tag that stands for it: a new claim,
   * or `known`, the one that the tag already has.
   */
  enqueue(tag: Tag, claim: (tag: Tag, id: string, known: C | undefined) => C): Outgoing<C> {
    const id = this.#deps.random.id();
    const isSentNow = this.#waiting.size === 0 && this.#canSend;
    const outgoing = isSentNow ? outgoingOf<C>(id, tag) : (this.#cover(tag) ?? this.#enqueue(tag, id));
    const { claims } = outgoing;
    const hasRoom = claims.has(outgoing.tag) && this.#claims <= this.#deps.entriesMax;
    const claimed = claims.has(tag) || hasRoom ? tag : outgoing.tag;
    const known = claims.get(claimed);
    claims.set(claimed, claim(claimed, id, known));
    if (known === undefined) this.#claims++;
    const { notes } = this.#deps;
    if (notes?.admits() === true) notes.note({ what: "invalidated", of: tag, id: outgoing.id });
    if (isSentNow) this.#handOver(outgoing);
    else this.flush();
    return outgoing;
  }

  /**
   * Resolves to the outcome of `outgoing` within the time-out. Rejects with ClosedError when the outbox closes before
   * that, and with NotAuthorizedError.
   */
  outcome(outgoing: Outgoing<C>): Promise<Publication> {
    let waitedFor = outgoing;
    while (waitedFor.within !== undefined) waitedFor = waitedFor.within;
    if (waitedFor.isPublished) return Promise.resolve("published");
    if (this.#isClosed) return Promise.reject(new ClosedError({ what: "cache" }));
    const refusal = waitedFor.refusal ?? this.#refusal();
    if (refusal !== undefined) return Promise.reject(refusal);
    return new Promise((resolve, reject) => {
      const waiter = { outgoing: waitedFor, resolve, reject };
      this.#unpublished.add(waiter);
      waitedFor.waiters.add(waiter);
    });
  }

  /** The bus delivered an invalidation of `tag` under `id`. Returns it if it is one of this node. */
  heard(tag: string, id: string, version: BusVersion): Outgoing<C> | undefined {
    const { notes } = this.#deps;
    if (notes?.admits() === true) notes.note({ what: "heard", of: tag, id, number: version.sequence });
    const outgoing = this.#sent.get(id);
    // Other publishers choose ids too: one that comes with another tag is not ours.
    if (outgoing?.tag !== tag) return undefined;
    this.#settle(outgoing, version);
    return outgoing;
  }

  /** Hands waiting invalidations to the bus, if the bus follows. */
  flush(): void {
    if (this.#waiting.size === 0) return;
    for (const outgoing of this.#waiting.values()) {
      if (!this.#canSend) return;
      this.#waitNoMore(outgoing);
      this.#handOver(outgoing);
    }
  }

  /** Resolves when the bus has acknowledged everything. */
  emptied(): Promise<void> {
    return this.size === 0 ? Promise.resolve() : new Promise((resolve) => this.#onEmpty.push(resolve));
  }

  /** Hands nothing to the bus any more, and rejects all waiting callers with ClosedError. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#deps.clock.clearTimeout(this.#retry);
    const closed = new ClosedError({ what: "cache" });
    for (const { waiters } of [...this.#waiting.values(), ...this.#sent.values()]) {
      for (const waiter of waiters) waiter.reject(closed);
      waiters.clear();
    }
    this.#unpublished.clear();
    this.#waiting.clear();
    this.#below.clear();
  }

  /** Whether the bus takes one more invalidation now. */
  get #canSend(): boolean {
    if (this.#isClosed || this.#retry !== undefined || this.#sent.size >= limits.outboxSentMax) return false;
    return this.#deps.bus.state.type === "following";
  }

  #handOver(outgoing: Outgoing<C>): void {
    this.#sent.set(outgoing.id, outgoing);
    outgoing.isSent = true;
    this.#send(outgoing);
  }

  #send(outgoing: Outgoing<C>): void {
    const { bus, log } = this.#deps;
    bus.publish(outgoing.tag, outgoing.id).then(
      (version) => {
        if (this.#failures > 0) log.info({ tag: outgoing.tag, failures: this.#failures }, "invalidations are published again");
        this.#failures = 0;
        this.#settle(outgoing, version);
      },
      (error: unknown) => {
        if (this.#isClosed || error instanceof ClosedError) return;
        if (error instanceof NotAuthorizedError) {
          this.#refuse(outgoing, error);
          return;
        }
        const facts = { err: error, tag: outgoing.tag };
        if (this.#failures === 0) log.warn(facts, "invalidations are not published");
        else log.debug(facts, "an invalidation was not published");
        this.#sendAgain(outgoing);
      },
    );
  }

  /**
   * Sends it under the same id: a second copy only invalidates too much. Others that fail meanwhile are sent with it.
   */
  #sendAgain(outgoing: Outgoing<C>): void {
    const { clock, random } = this.#deps;
    this.#failed.add(outgoing);
    this.#retry ??= clock.setTimeout(
      () => {
        this.#retry = undefined;
        const failed = [...this.#failed];
        this.#failed.clear();
        for (const each of failed) if (this.#sent.has(each.id)) this.#send(each);
        this.flush();
      },
      retryDelay(this.#failures++, random),
    );
  }

  /**
   * The error, if the broker does not even let this node follow the bus. Waiting invalidations are published once it
   * does.
   */
  #refusal(): NotAuthorizedError | undefined {
    const { state, trouble } = this.#deps.bus;
    return state.type !== "following" && trouble instanceof NotAuthorizedError ? trouble : undefined;
  }

  /**
   * The broker does not let this node publish `outgoing`. Tags that it covered are enqueued again: they may be allowed.
   */
  #refuse(outgoing: Outgoing<C>, error: NotAuthorizedError): void {
    if (!this.#sent.delete(outgoing.id)) return;
    this.#deps.log.error({ err: error, tag: outgoing.tag }, "this node may not publish an invalidation: other nodes do not receive it");
    outgoing.refusal = error;
    this.#end(outgoing, ({ reject }) => reject(error));
    for (const [tag, claim] of outgoing.claims) {
      if (tag === outgoing.tag) {
        this.#claims--;
        claim.refused();
      } else this.#enqueueAgain(tag, claim);
    }
    for (const claim of outgoing.riders) claim.refused();
    this.#claims -= outgoing.riders.length;
    this.flush();
    if (this.size === 0) for (const resolve of this.#onEmpty.splice(0)) resolve();
  }

  #enqueueAgain(tag: Tag, claim: C): void {
    const outgoing = this.#cover(tag) ?? this.#enqueue(tag, this.#deps.random.id());
    if (outgoing.claims.has(tag)) outgoing.riders.push(claim);
    else outgoing.claims.set(tag, claim);
  }

  #settle(outgoing: Outgoing<C>, version: BusVersion): void {
    if (!this.#sent.delete(outgoing.id)) return;
    this.#claims -= outgoing.claims.size + outgoing.riders.length;
    for (const claim of [...outgoing.claims.values(), ...outgoing.riders]) claim.settled(version);
    outgoing.isPublished = true;
    this.#end(outgoing, ({ resolve }) => resolve("published"));
    this.flush();
    if (this.size === 0) for (const resolve of this.#onEmpty.splice(0)) resolve();
  }

  /** Ends the waits for `outgoing`. */
  #end({ waiters }: Outgoing<C>, settle: (waiter: PublicationWaiter) => void): void {
    for (const waiter of waiters) {
      this.#unpublished.delete(waiter);
      settle(waiter);
    }
    waiters.clear();
  }

  #timedOut(waiter: PublicationWaiter): void {
    for (let at: Outgoing | undefined = waiter.outgoing; at !== undefined; at = at.within) at.waiters.delete(waiter);
    const refusal = this.#refusal();
    if (refusal !== undefined) {
      waiter.reject(refusal);
      return;
    }
    this.queued++;
    waiter.resolve("queued");
  }

  /** A waiting invalidation that covers `tag`. */
  #cover(tag: Tag): Outgoing<C> | undefined {
    if (this.#waiting.size === 0) return undefined;
    let above: string = tag;
    for (;;) {
      const waiting = this.#waiting.get(above as Tag);
      if (waiting !== undefined) return waiting;
      if (above === "") return undefined;
      above = above.slice(0, Math.max(0, above.lastIndexOf(":")));
    }
  }

  #enqueue(tag: Tag, id: string): Outgoing<C> {
    const isFull = this.#waiting.size >= this.#deps.entriesMax;
    const outgoing = outgoingOf<C>(id, isFull ? rootTag : tag);
    if (isFull) this.overflows++;
    if (isFull) this.#deps.log.warn({ entries: this.#waiting.size }, "the outbox is full: everything is invalidated");
    if (this.#below.has(outgoing.tag)) this.#swallow(outgoing);
    this.#waiting.set(outgoing.tag, outgoing);
    for (const above of tagsAbove(outgoing.tag)) this.#below.set(above, (this.#below.get(above) ?? 0) + 1);
    return outgoing;
  }

  #waitNoMore({ tag }: Outgoing<C>): void {
    this.#waiting.delete(tag);
    for (const above of tagsAbove(tag)) {
      const count = this.#below.get(above) ?? 0;
      if (count > 1) this.#below.set(above, count - 1);
      else this.#below.delete(above);
    }
  }

  #swallow(outgoing: Outgoing<C>): void {
    for (const child of this.#waiting.values()) {
      if (!isBelow(child.tag, outgoing.tag)) continue;
      this.#waitNoMore(child);
      // The children claim different tags, because no waiting invalidation is below another.
      for (const [claimed, claim] of child.claims) outgoing.claims.set(claimed, claim);
      outgoing.riders.push(...child.riders);
      for (const waiter of child.waiters) outgoing.waiters.add(waiter);
      child.within = outgoing;
    }
  }
}

function outgoingOf<C extends Claim>(id: string, tag: Tag): Outgoing<C> {
  return {
    id,
    tag,
    isSent: false,
    claims: new Map(),
    riders: [],
    isPublished: false,
    refusal: undefined,
    within: undefined,
    waiters: new Set(),
  };
}

/** All tags that `tag` is below, the root among them, and not itself. */
function tagsAbove(tag: Tag): readonly string[] {
  const above: string[] = [];
  for (let at: string = tag; at !== "";) {
    at = at.slice(0, Math.max(0, at.lastIndexOf(":")));
    above.push(at);
  }
  return above;
}
