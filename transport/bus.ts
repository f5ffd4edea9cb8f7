/**
 * The bus that delivers every invalidation to every node.
 *
 * Promises of every bus (testing/suites/bus.ts holds each to them):
 *
 * 1. Order. Events carry positions that never go back within an epoch. With JetStream all nodes see the same order and
 *    the same numbers. Over plain NATS the numbers are this node's own, and only the invalidations of one publisher
 *    keep their order.
 * 2. No gap unnoticed. Once the bus follows, its listener gets every invalidation, in order, or a `reset`. Missing
 *    invalidations are delivered before all later ones; a gap that cannot be filled is a `reset`.
 * 3. At least once. The bus repeats a publication, under one id, until it is taken. A second copy is delivered a second
 *    time.
 * 4. In touch. `heardAt` is a moment as of which nothing is missing here; silence or a lost link is a `cut`.
 * 5. The listener gets this node's own publications, too. Their ids identify them.
 *
 * Source: DESIGN, "Semantic cache"; INTERLEAVINGS B2, B3, B5, B6.
 */
export interface Bus {
  readonly kind: "in-process" | "nats" | "jetstream";
  readonly state: BusState;
  /**
   * Monotonic moment as of which this node has received all invalidations that the bus had: -Infinity before the first.
   * It is the time at which this node sent a message that has come back since. A message of another node does not prove
   * how long it was under way. It stands still while cut off and while catching up. The age of an entry that is served
   * as valid counts from here.
   */
  readonly heardAt: number;

  /** The known reason why it does not follow or cannot publish; undefined if there is none. */
  readonly trouble?: Error | undefined;

  /**
   * Results that are served must be at most `ms` old: the bus keeps `heardAt` younger than that while its link works.
   */
  proveWithin?(ms: number): void;

  /**
   * Publishes `tag` until the bus has taken it; resolves to the version it got. While cut off it waits and tries again:
   * the caller bounds its own wait and the number of publications in progress. `id` is the same in all copies and in no
   * other publication. Rejects with ClosedError, and with NotAuthorizedError if the broker does not let this node
   * publish it.
   */
  publish(tag: string, id: string): Promise<BusVersion>;

  /** Calls `listener` with all later events. Call this once, before `follow`. */
  listen(listener: (event: BusEvent) => void): void;

  /**
   * Continues from `from`, the last position that was applied; without one it begins at the end, which it reports as a
   * `reset`. `known` are the latest invalidations, up to `from`, of some tags, the latest first: if the bus has lost
   * one of them since, its history was lost. Resolves when the bus follows for the first time, which the caller bounds;
   * rejects with ClosedError.
   */
  follow(from: BusPosition | undefined, known?: readonly TagVersion[]): Promise<void>;

  /** Closes it, and rejects publications in progress with ClosedError. The transport stays open. Idempotent. */
  close(): Promise<void>;
}

/** Number of an invalidation in the history that `epoch` names. Numbers of two epochs cannot be compared. */
export interface BusVersion {
  readonly epoch: string;
  /** A safe integer that rises. */
  readonly sequence: number;
}

/** The sequence of the last known invalidation of a tag. */
export interface TagVersion {
  readonly tag: string;
  readonly sequence: number;
}

/** A bus that keeps the last invalidation of each tag, and can be asked for it. */
export interface RecallingBus extends Bus {
  /**
   * `recall` can check an entry that is valid as of a position younger than this, by the broker's clock, in
   * milliseconds. The value may change, because the age bound of the broker's history decides it.
   */
  readonly recallAgeMsMax: number;
  /**
   * The last invalidations of `tags`, from the server that takes new ones: of each tag itself, not of its parents. It
   * keeps none of a tag whose last invalidation is older than the history. Rejects with DisconnectedError, TimeoutError
   * if no answer comes in time, ClosedError.
   */
  recall(tags: readonly string[], timeoutMs: number): Promise<Recalled>;
}

/** Whether `bus` keeps invalidations that it can be asked for. */
export function canRecall(bus: Bus): bus is RecallingBus {
  return "recall" in bus;
}

/** The last invalidations of some tags. */
export interface Recalled {
  /** In the order of the tags; 0: none is kept. */
  readonly sequences: readonly number[];
  /** All invalidations up to this sequence were considered. */
  readonly reached: number;
}

/** A version, and when the bus took it: the position to continue from. */
export interface BusPosition extends BusVersion {
  /** Wall clock of the broker, milliseconds since 1970. */
  readonly time: number;
}

/** Whether all invalidations reach this node. `catchingUp`: it fetches missing ones. `cut`: it receives none. */
export type BusState =
  | { readonly type: "following"; readonly epoch: string; readonly sequence: number }
  | { readonly type: "catchingUp" }
  | { readonly type: "cut" };

/** The events that a bus delivers to its listener, in order. */
export type BusEvent =
  /** `tag` and all tags below it are stale; the empty tag is the root. */
  | { readonly type: "invalidated"; readonly tag: string; readonly id: string; readonly version: BusPosition }
  /** No other tag became stale up to `version`. */
  | { readonly type: "heartbeat"; readonly version: BusPosition }
  /** All entries that were begun before `version` are stale: another history, or a gap that cannot be filled. */
  | { readonly type: "reset"; readonly version: BusPosition }
  /** No invalidation reaches this node from now on. */
  | { readonly type: "cut" }
  /** All invalidations up to `version` were delivered. */
  | { readonly type: "following"; readonly version: BusPosition };
