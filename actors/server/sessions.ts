import { type Actor, createActor } from "xstate";
import { sessionMachine } from "../../machines/server/session.js";
import {
  type Clock,
  limits,
  type Log,
  MalformedMessageError,
  publicId,
  ServerBusyError,
  type Tid,
  UnknownSessionError,
} from "../../core/index.js";
import { FenceAllowance } from "./fence-allowance.js";
import type { Register } from "../protocol/messages.js";
import type { ActorSystem } from "../system/actor-system.js";

/** A registered client. */
export interface Session {
  /** Its public id. */
  readonly id: string;
  readonly secret: string;
  readonly client: string;
  /** Hash of the client's secret: ids of its transactions begin with it. */
  readonly owner: string;
  /** The client asked not to write. */
  readonly readOnly: boolean;
  /** When it was opened, on the monotonic clock. */
  readonly sinceMs: number;
  /** When anything was last heard of it, on the monotonic clock. */
  heardAtMs: number;
  /** Anything was asked in it since it was opened. */
  isUsed: boolean;
  /** Oldest snapshot of its open transactions, as the client said last. */
  oldestSnapshot: Tid | undefined;
  /** The same snapshot, told again and again while the storage went on; undefined when its oldest is the last transaction. */
  held: HeldSnapshot | undefined;
  readonly fences: FenceAllowance;
  readonly actor: Actor<typeof sessionMachine>;
  readonly unregister: (() => void) | undefined;
}

interface HeldSnapshot {
  readonly snapshot: Tid;
  /** When it was first told with transactions after it, on the monotonic clock. */
  readonly sinceMs: number;
  isLogged: boolean;
}

export interface SessionsDeps {
  readonly storage: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly timeoutMs: number;
  /** A snapshot that a client keeps open for longer is logged, once: a transaction was begun there, and neither finished nor aborted. */
  readonly snapshotHeldMs: number;
  readonly countMax: number;
  readonly countPerClientMax: number;
  /** Silence after which a session may make room for another one of its client, below `timeoutMs`: two keep-alives were lost. */
  readonly idleMs: number;
  readonly fencesPerSessionMax: number;
  readonly abortTransactions: (session: string) => void;
  /** Where the machines of sessions can be looked at. */
  readonly system: ActorSystem | undefined;
  /** A bug ended a session's actor: what it kept is in no known state. */
  readonly onFatal: (error: unknown) => void;
}

/** The registered clients of one storage. */
export class Sessions {
  readonly #deps: SessionsDeps;
  readonly #bySecret = new Map<string, Session>();
  readonly #byId = new Map<string, Session>();
  readonly #byClient = new Map<string, Set<Session>>();
  /** Those that nothing was asked in yet, the oldest first. */
  readonly #unused = new Set<Session>();
  readonly #machine: typeof sessionMachine;

  constructor(deps: SessionsDeps) {
    this.#deps = deps;
    this.#machine = this.#provided();
  }

  get count(): number {
    return this.#bySecret.size;
  }

  /** The `countMax` oldest ones. */
  first(countMax: number): readonly Session[] {
    return [...this.#bySecret.values()].slice(0, countMax);
  }

  /**
   * The session that `register` opens, or opened: the same message sent twice opens one. Its client reads `oldestSnapshot` until it says
   * otherwise. Throws ServerBusyError, MalformedMessageError.
   */
  open({ client, readOnly, clientSecret, sessionSecret, oldestSnapshot }: Register): Session {
    const { clock, fencesPerSessionMax, storage, log, system, onFatal } = this.#deps;
    const owner = publicId(clientSecret);
    const opened = this.#bySecret.get(sessionSecret);
    if (opened !== undefined) {
      const isSame = opened.owner === owner && opened.client === client && opened.readOnly === readOnly;
      if (!isSame) throw new MalformedMessageError({ what: "register.sessionSecret", reason: "is that of another registration" });
      opened.oldestSnapshot ??= oldestSnapshot;
      return this.heard(sessionSecret);
    }
    this.#makeRoom(client);
    const id = publicId(sessionSecret);
    const actor = createActor(this.#machine, { id: `server/${storage}/session/${id}`, clock, input: { session: id } });
    const session: Session = {
      id,
      secret: sessionSecret,
      client,
      owner,
      readOnly,
      sinceMs: clock.monotonic(),
      heardAtMs: clock.monotonic(),
      isUsed: false,
      oldestSnapshot,
      held: undefined,
      fences: new FenceAllowance(clock, fencesPerSessionMax, limits.outcomeAgeMs),
      actor,
      unregister: system?.register(`server/${storage}/session/${id}`, actor, { accepts: [], describe: () => ({ client }) }),
    };
    this.#bySecret.set(sessionSecret, session);
    this.#byId.set(id, session);
    this.#unused.add(session);
    const ofClient = this.#byClient.get(client);
    if (ofClient === undefined) this.#byClient.set(client, new Set([session]));
    else ofClient.add(session);
    actor.subscribe({ error: onFatal });
    actor.start();
    log.info({ storage, client, session: id }, "registered");
    return session;
  }

  /** The live session with this secret, which was just heard of. Throws UnknownSessionError. */
  heard(secret: string): Session {
    const session = this.#bySecret.get(secret);
    if (session === undefined) throw new UnknownSessionError({ session: publicId(secret) });
    session.heardAtMs = this.#deps.clock.monotonic();
    if (!session.isUsed) {
      session.isUsed = true;
      this.#unused.delete(session);
    }
    return session;
  }

  /** The session with this secret lives, and told its oldest open snapshot; `last` is where the storage stands. Throws UnknownSessionError. */
  alive(secret: string, oldestSnapshot: Tid | undefined, last: Tid): void {
    const session = this.heard(secret);
    session.oldestSnapshot = oldestSnapshot;
    // What follows the storage is as old as its last transaction, be that of yesterday.
    if (oldestSnapshot === undefined || oldestSnapshot >= last) {
      session.held = undefined;
      return;
    }
    const { clock, log, storage, snapshotHeldMs } = this.#deps;
    const nowMs = clock.monotonic();
    if (session.held?.snapshot !== oldestSnapshot) session.held = { snapshot: oldestSnapshot, sinceMs: nowMs, isLogged: false };
    const { held, client, id } = session;
    const forMs = nowMs - held.sinceMs;
    if (held.isLogged || forMs < snapshotHeldMs) return;
    held.isLogged = true;
    log.warn({ storage, client, session: id, snapshot: oldestSnapshot, forMs }, "a client keeps a snapshot open: history is kept for it");
  }

  /** The session with this public id. */
  get(id: string): Session | undefined {
    return this.#byId.get(id);
  }

  /** The session with this secret says goodbye; one that is gone already needs not. */
  bye(secret: string): void {
    this.#bySecret.get(secret)?.actor.send({ type: "BYE" });
  }

  /** One of the voted transactions of the session with this public id hung. */
  hung(id: string): void {
    this.#byId.get(id)?.actor.send({ type: "TRANSACTION_HUNG" });
  }

  /** Oldest snapshot that a live client reads, undefined when none told of one. */
  get oldestSnapshot(): Tid | undefined {
    let oldest: Tid | undefined;
    for (const { oldestSnapshot } of this.#bySecret.values()) {
      if (oldestSnapshot !== undefined && (oldest === undefined || oldestSnapshot < oldest)) oldest = oldestSnapshot;
    }
    return oldest;
  }

  /** Ends all actors without a word: for the end of the server. */
  stop(): void {
    for (const { actor, unregister } of this.#bySecret.values()) {
      unregister?.();
      actor.stop();
    }
    this.#bySecret.clear();
    this.#byId.clear();
    this.#byClient.clear();
    this.#unused.clear();
  }

  /** Ends a session that nobody uses when there is no room for another one. Throws ServerBusyError when there is none. */
  #makeRoom(client: string): void {
    const { countMax, countPerClientMax } = this.#deps;
    const ofClient = this.#byClient.get(client);
    if (ofClient !== undefined && ofClient.size >= countPerClientMax) {
      if (!this.#displace(this.#quietest(ofClient))) {
        throw new ServerBusyError({ what: `sessions of client ${client}`, countMax: countPerClientMax });
      }
    }
    if (this.#bySecret.size < countMax) return;
    const [oldest] = this.#unused;
    if (!this.#displace(oldest)) throw new ServerBusyError({ what: "sessions", countMax });
  }

  /** The one of `sessions` that was heard of longest ago. */
  #quietest(sessions: Iterable<Session>): Session | undefined {
    let quietest: Session | undefined;
    for (const session of sessions) if (quietest === undefined || session.heardAtMs < quietest.heardAtMs) quietest = session;
    return quietest;
  }

  /** False: its client may be there. One that is there says so every keepAliveIntervalMs, and asks at once in a session that is new. */
  #displace(session: Session | undefined): boolean {
    if (session === undefined) return false;
    const silentMs = this.#deps.clock.monotonic() - session.heardAtMs;
    if (silentMs < (session.isUsed ? this.#deps.idleMs : limits.sessionUnusedMs)) return false;
    session.actor.send({ type: "DISPLACED" });
    return true;
  }

  #provided(): typeof sessionMachine {
    const { storage, clock, log, timeoutMs, abortTransactions } = this.#deps;
    const silentMs = (id: string) => clock.monotonic() - (this.#byId.get(id)?.heardAtMs ?? 0);
    return sessionMachine.provide({
      actions: {
        abortTransactions: ({ context }) => abortTransactions(context.session),
        forget: ({ context }) => {
          const session = this.#byId.get(context.session);
          if (session === undefined) return;
          session.unregister?.();
          this.#byId.delete(session.id);
          this.#bySecret.delete(session.secret);
          this.#unused.delete(session);
          const ofClient = this.#byClient.get(session.client);
          ofClient?.delete(session);
          if (ofClient?.size === 0) this.#byClient.delete(session.client);
        },
        logGone: ({ context: { session } }, { reason }) =>
          log.info({ storage, client: this.#byId.get(session)?.client, session, reason }, "session ended"),
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
