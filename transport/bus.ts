/**
 * The bus that tells every node of every invalidation.
 *
 * What every bus promises (testing/suites/bus.ts holds each to it):
 *
 * 1. Order. Events carry positions that never go back within an epoch. With JetStream all nodes see the same order and the
 *    same numbers; over plain NATS the numbers are this node's own, and only those of one publisher keep their order.
 * 2. No gap unnoticed. Once following, a listener is told of every invalidation, in order, or of a `reset`. What is missing
 *    is filled before anything that comes after it; a gap that cannot be filled is a `reset`.
 * 3. At least once. A publication goes on, under one id, until the bus has taken it. A second copy is told a second time.
 * 4. In touch. `heardAt` is a moment as of which nothing is missing here; silence or a lost link is a `cut`.
 * 5. Own publications are told to the listener as those of others are, by their id.
 *
 * Source: DESIGN, "Semantic cache"; INTERLEAVINGS B2, B3, B5, B6.
 */
export interface Bus {
  readonly kind: "in-process" | "nats" | "jetstream";
  readonly state: BusState;
  /**
   * Monotonic moment as of which all invalidations that the bus had were told here: -Infinity before the first. It is when a message of this
   * node's own was sent that has come back: what others send proves nothing of how long it was under way. It stands still while
   * cut off and while catching up. What is served as valid counts its age from here.
   */
  readonly heardAt: number;

  /** What keeps it from following, or from publishing, as far as it knows: undefined when nothing does. */
  readonly trouble?: Error | undefined;

  /** What is served is to be no older than `ms`: the bus sees to it that `heardAt` is younger as long as all is well. */
  proveWithin?(ms: number): void;

  /**
   * Publishes `tag` until the bus has taken it; resolves to the version it got. While cut off it waits and tries again: the
   * caller bounds its own wait and the number of publications under way. `id` is the same in all copies and in no other
   * publication. Rejects with ClosedError, and with NotAuthorizedError when the broker does not let this node publish it.
   */
  publish(tag: string, id: string): Promise<BusVersion>;

  /** Calls `listener` with all events from now on; to be called before `follow`, once. */
  listen(listener: (event: BusEvent) => void): void;

  /**
   * Goes on from `from`, the last position that was applied, or begins at the end, which is told as a `reset`. `known` are the latest
   * invalidations up to there of some tags, the latest first: one that the bus has lost since gives it away. Resolves when it
   * follows for the first time, which the caller bounds; rejects with ClosedError.
   */
  follow(from: BusPosition | undefined, known?: readonly TagVersion[]): Promise<void>;

  /** Ends it, and rejects publications under way with ClosedError. The transport stays open. Idempotent. */
  close(): Promise<void>;
}

/** Number of an invalidation in the history that `epoch` names; numbers of two epochs cannot be compared. */
export interface BusVersion {
  readonly epoch: string;
  /** A safe integer that rises. */
  readonly sequence: number;
}

/** The sequence of the last invalidation of a tag that is known. */
export interface TagVersion {
  readonly tag: string;
  readonly sequence: number;
}

/** A bus that keeps the last invalidation of each tag, and can be asked for it. */
export interface RecallingBus extends Bus {
  /**
   * `recall` can judge what knew all up to a position that is younger than this, by the broker's clock, in milliseconds. It may change, as the
   * broker's history of invalidations is what counts.
   */
  readonly recallAgeMsMax: number;
  /**
   * What whoever takes invalidations now holds of each of `tags`, of the tag itself and not of those above. Of a tag whose last invalidation
   * is older than the history nothing is held. Rejects with DisconnectedError, TimeoutError when it does not answer in time, ClosedError.
   */
  recall(tags: readonly string[], timeoutMs: number): Promise<Recalled>;
}

/** Whether `bus` can be asked what it holds. */
export function canRecall(bus: Bus): bus is RecallingBus {
  return "recall" in bus;
}

/** The last invalidations of some tags. */
export interface Recalled {
  /** In the order of the tags; 0: none is held. */
  readonly sequences: readonly number[];
  /** All invalidations up to here were considered. */
  readonly reached: number;
}

/** A version, and when the bus took it: what is kept to go on from. */
export interface BusPosition extends BusVersion {
  /** Wall clock of the broker, milliseconds since 1970. */
  readonly time: number;
}

/** Whether all invalidations reach this node: `catchingUp` fetches what is missing, `cut` hears nothing. */
export type BusState =
  | { readonly type: "following"; readonly epoch: string; readonly sequence: number }
  | { readonly type: "catchingUp" }
  | { readonly type: "cut" };

/** What a bus tells its listener, in order. */
export type BusEvent =
  /** `tag`, and all below it; the empty tag is the root. */
  | { readonly type: "invalidated"; readonly tag: string; readonly id: string; readonly version: BusPosition }
  /** Nothing else became stale up to `version`. */
  | { readonly type: "heartbeat"; readonly version: BusPosition }
  /** All that began before `version` is stale: another history, or a gap that cannot be filled. */
  | { readonly type: "reset"; readonly version: BusPosition }
  /** Nothing reaches this node from now on. */
  | { readonly type: "cut" }
  /** All up to `version` was told. */
  | { readonly type: "following"; readonly version: BusPosition };
