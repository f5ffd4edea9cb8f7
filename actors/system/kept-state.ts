/** The last good state of a supervised actor, with which it is started again. */
import type { AnyActorLogic, AnyActorRef, Snapshot } from "xstate";
import type { Clock } from "../../core/index.js";

/** A part of XState 5.33 that has no types for use outside: the timers of an actor and of the actors below it. */
interface Scheduled {
  readonly source: AnyActorRef;
  readonly target: AnyActorRef;
  readonly event: { readonly type: string };
  readonly delay: number;
  readonly id: string;
}

interface System {
  getSnapshot(): { readonly _scheduledEvents: Readonly<Record<string, Scheduled>> };
  readonly scheduler: { schedule(source: AnyActorRef, target: AnyActorRef, event: object, delayMs: number, id: string): void };
}

interface KeptTimer {
  readonly scheduled: Scheduled;
  /** Monotonic, in milliseconds. */
  readonly sinceMs: number;
}

/**
 * Keeps the state of an actor after each of its transitions. A state without children costs a reference, because
 * snapshots do not change; one with children is persisted at once, because children go on. The state of the children is
 * then that of the parent's last transition.
 *
 * A restored machine runs its invoked actors again, but no timers: XState neither persists nor restores them. They are
 * kept here, and set again with the time that was left. Source: XState 5.33, `createSystem`.
 */
export class KeptState {
  readonly #logic: AnyActorLogic;
  readonly #clock: Clock;
  #snapshot: Snapshot<unknown> | undefined;
  #persisted: Snapshot<unknown> | undefined;
  #timers = new Map<string, KeptTimer>();
  /** Why the last state could not be kept. */
  #problem: unknown;
  /** An actor has been started with the state, and has no timers yet. */
  #isRestoring = false;

  constructor(logic: AnyActorLogic, clock: Clock) {
    this.#logic = logic;
    this.#clock = clock;
  }

  /** Keeps the states of `actor` from now on, which has not been started. */
  follow(actor: AnyActorRef): void {
    actor.subscribe({ next: (snapshot: Snapshot<unknown>) => this.#keep(actor, snapshot), error: () => undefined });
  }

  /** The last state, for `createActor`; undefined: there is none yet, or it could not be kept. */
  get snapshot(): Snapshot<unknown> | undefined {
    if (this.#problem !== undefined || this.#snapshot === undefined) return undefined;
    return this.#persisted ?? this.#logic.getPersistedSnapshot(this.#snapshot);
  }

  /** Why the last state could not be kept; undefined if it could. */
  get problem(): unknown {
    return this.#problem;
  }

  /** An actor is started with the last state next. The timers are kept until they are set. */
  restoring(): void {
    this.#isRestoring = true;
  }

  /** Sets the timers of the last state for `actor`, which was started with that state. */
  setTimers(actor: AnyActorRef): void {
    const { scheduler } = systemOf(actor);
    for (const { scheduled, sinceMs } of this.#timers.values()) {
      const { source, target, event, delay, id } = scheduled;
      const [from, to] = [successor(actor, source), successor(actor, target)];
      const leftMs = Math.max(0, delay - (this.#clock.monotonic() - sinceMs));
      if (from !== undefined && to !== undefined) scheduler.schedule(from, to, event, leftMs, id);
    }
    this.#isRestoring = false;
    this.#timers = new Map();
    this.#keepTimers(actor);
  }

  #keep(actor: AnyActorRef, snapshot: Snapshot<unknown>): void {
    const { children } = snapshot as { readonly children?: object };
    this.#snapshot = snapshot;
    this.#persisted = undefined;
    this.#problem = undefined;
    try {
      if (children !== undefined && hasAny(children)) this.#persisted = actor.getPersistedSnapshot();
    } catch (error) {
      this.#problem = error;
    }
    if (!this.#isRestoring) this.#keepTimers(actor);
  }

  #keepTimers(actor: AnyActorRef): void {
    const { _scheduledEvents: scheduled } = systemOf(actor).getSnapshot();
    if (this.#timers.size === 0 && !hasAny(scheduled)) return;
    const nowMs = this.#clock.monotonic();
    const timers = Object.entries(scheduled).map(([id, each]): [string, KeptTimer] => {
      const known = this.#timers.get(id);
      return [id, known?.scheduled === each ? known : { scheduled: each, sinceMs: nowMs }];
    });
    this.#timers = new Map(timers);
  }
}

function systemOf(actor: AnyActorRef): System {
  return actor.system;
}

function hasAny(record: object): boolean {
  for (const _ in record) return true;
  return false;
}

/** The actor below `root` that has the place of `earlier` below an earlier root; undefined: there is none. */
function successor(root: AnyActorRef, earlier: AnyActorRef): AnyActorRef | undefined {
  const parent = (earlier as { readonly _parent?: AnyActorRef })["_parent"];
  if (parent === undefined) return root;
  const place = successor(root, parent);
  const { children } = (place?.getSnapshot() ?? {}) as { readonly children?: Readonly<Record<string, AnyActorRef | undefined>> };
  return children?.[earlier.id];
}
