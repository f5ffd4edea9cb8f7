import { type Actor, createActor } from "xstate";
import { sessionMachine } from "../machines/session.js";
import { type Chance, type Clock, type Log, ServerBusyError, type Tid, UnknownSessionError } from "../words/index.js";
import type { ActorSystem } from "./system.js";

/** A registered client. */
export interface Session {
  readonly id: string;
  readonly client: string;
  /** The client asked not to write. */
  readonly readOnly: boolean;
  readonly sinceMs: number;
  /** When anything was last heard of it, on the monotonic clock. */
  heardAtMs: number;
  /** Oldest snapshot of its open transactions, as the client said last. */
  oldestSnapshot: Tid | undefined;
  /** The same snapshot, told again and again while the storage went on; undefined when its oldest is the last transaction. */
  held: HeldSnapshot | undefined;
  readonly actor: Actor<typeof sessionMachine>;
  readonly unregister: (() => void) | undefined;
}

interface HeldSnapshot {
  readonly snapshot: Tid;
  /** When it was first told with transactions after it, on the monotonic clock. */
  readonly sinceMs: number;
  isLogged: boolean;
}

export interface SessionsAround {
  readonly storage: string;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly log: Log;
  readonly timeoutMs: number;
  /** A snapshot that a client keeps open for longer is logged, once: a transaction was begun there, and neither finished nor aborted. */
  readonly snapshotHeldMs: number;
  readonly countMax: number;
  readonly abortTransactions: (session: string) => void;
  /** Where the machines of sessions can be looked at. */
  readonly system: ActorSystem | undefined;
  /** A bug ended a session's actor: what it kept is in no known state. */
  readonly onFatal: (error: unknown) => void;
}

/** The registered clients of one storage. */
export class Sessions {
  readonly #around: SessionsAround;
  readonly #sessions = new Map<string, Session>();
  readonly #machine: typeof sessionMachine;

  constructor(around: SessionsAround) {
    this.#around = around;
    this.#machine = this.#provided();
  }

  get all(): Iterable<Session> {
    return this.#sessions.values();
  }

  /** A new session, whose client reads `oldestSnapshot` until it says otherwise. Throws ServerBusyError. */
  open(client: string, readOnly: boolean, oldestSnapshot: Tid | undefined): Session {
    const { clock, chance, countMax, storage, log, system, onFatal } = this.#around;
    if (this.#sessions.size >= countMax) throw new ServerBusyError({ what: "sessions", countMax });
    const id = chance.id();
    const actor = createActor(this.#machine, { id: `server/${storage}/session/${id}`, clock, input: { session: id } });
    const session: Session = {
      id,
      client,
      readOnly,
      sinceMs: clock.now(),
      heardAtMs: clock.monotonic(),
      oldestSnapshot,
      held: undefined,
      actor,
      unregister: system?.register(`server/${storage}/session/${id}`, actor, { accepts: [], describe: () => ({ client }) }),
    };
    this.#sessions.set(id, session);
    actor.subscribe({ error: onFatal });
    actor.start();
    log.info({ storage, client, session: id }, "registered");
    return session;
  }

  /** The live session `id`, which was just heard of. Throws UnknownSessionError. */
  heard(id: string): Session {
    const session = this.#sessions.get(id);
    if (session === undefined) throw new UnknownSessionError({ session: id });
    session.heardAtMs = this.#around.clock.monotonic();
    return session;
  }

  /** The session `id` lives, and told its oldest open snapshot; `last` is where the storage stands. Throws UnknownSessionError. */
  alive(id: string, oldestSnapshot: Tid | undefined, last: Tid): void {
    const session = this.heard(id);
    session.oldestSnapshot = oldestSnapshot;
    // What follows the storage is as old as its last transaction, be that of yesterday.
    if (oldestSnapshot === undefined || oldestSnapshot >= last) {
      session.held = undefined;
      return;
    }
    const { clock, log, storage, snapshotHeldMs } = this.#around;
    const nowMs = clock.monotonic();
    if (session.held?.snapshot !== oldestSnapshot) session.held = { snapshot: oldestSnapshot, sinceMs: nowMs, isLogged: false };
    const { held, client } = session;
    const forMs = nowMs - held.sinceMs;
    if (held.isLogged || forMs < snapshotHeldMs) return;
    held.isLogged = true;
    log.warn({ storage, client, session: id, snapshot: oldestSnapshot, forMs }, "a client keeps a snapshot open: history is kept for it");
  }

  get(id: string): Session | undefined {
    return this.#sessions.get(id);
  }

  end(id: string, type: "BYE" | "TRANSACTION_HUNG"): void {
    this.#sessions.get(id)?.actor.send({ type });
  }

  /** Oldest snapshot that a live client reads, undefined when none told of one. */
  get oldestSnapshot(): Tid | undefined {
    let oldest: Tid | undefined;
    for (const { oldestSnapshot } of this.#sessions.values()) {
      if (oldestSnapshot !== undefined && (oldest === undefined || oldestSnapshot < oldest)) oldest = oldestSnapshot;
    }
    return oldest;
  }

  /** Ends all actors without a word: for the end of the server. */
  stop(): void {
    for (const { actor, unregister } of this.#sessions.values()) {
      unregister?.();
      actor.stop();
    }
    this.#sessions.clear();
  }

  #provided(): typeof sessionMachine {
    const { storage, clock, log, timeoutMs, abortTransactions } = this.#around;
    const silentMs = (id: string) => clock.monotonic() - (this.#sessions.get(id)?.heardAtMs ?? 0);
    return sessionMachine.provide({
      actions: {
        abortTransactions: ({ context }) => abortTransactions(context.session),
        forget: ({ context }) => {
          this.#sessions.get(context.session)?.unregister?.();
          this.#sessions.delete(context.session);
        },
        logGone: ({ context: { session } }, { reason }) =>
          log.info({ storage, client: this.#sessions.get(session)?.client, session, reason }, "session ended"),
        logUnexpected: ({ context: { session }, event }) => log.warn({ storage, session, event: event.type }, "an unexpected event"),
      },
      guards: {
        wasHeard: ({ context }) => silentMs(context.session) < timeoutMs,
      },
      delays: {
        // Whole milliseconds: the rest of a subtraction may be too small to move the clock, and would be waited for for ever.
        silenceLeft: ({ context }) => Math.max(1, Math.ceil(timeoutMs - silentMs(context.session))),
      },
    });
  }
}
