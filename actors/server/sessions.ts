import { type Actor, createActor } from "xstate";
import { sessionMachine } from "../../machines/server/session.js";
import { limits, MalformedMessageError, publicId, ServerBusyError, type Tid, UnknownSessionError } from "../../core/index.js";
import { FenceAllowance } from "./fence-allowance.js";
import type { StorageParts } from "./parts.js";
import type { Register } from "../protocol/messages.js";

/** The session of a registered client. */
export interface Session {
  /** Public id of the session. */
  readonly id: string;
  readonly secret: string;
  readonly client: string;
  /** Hash of the client's secret: ids of its transactions begin with it. */
  readonly owner: string;
  /** The client registered as a reader. */
  readonly readOnly: boolean;
  /** Time at which the session was opened, on the monotonic clock. */
  readonly sinceMs: number;
  /** Time of the client's last message, on the monotonic clock. */
  heardAtMs: number;
  /** Whether a request arrived in the session since it was opened. */
  isUsed: boolean;
  /** Oldest snapshot of the client's open transactions, from its last report. */
  oldestSnapshot: Tid | undefined;
  /** An oldest snapshot that stays behind the last transaction; undefined: the client reads at the last transaction. */
  held: HeldSnapshot | undefined;
  readonly fences: FenceAllowance;
  readonly actor: Actor<typeof sessionMachine>;
  readonly unregister: (() => void) | undefined;
}

interface HeldSnapshot {
  readonly snapshot: Tid;
  /** Time of the first report at which transactions came after the snapshot, on the monotonic clock. */
  readonly sinceMs: number;
  isLogged: boolean;
}

export interface SessionsDeps extends StorageParts {
  readonly abortTransactions: (session: string) => void;
}

/**
 * A snapshot that a client keeps open for this many times snapshotRetentionMs is logged once: the client began a
 * transaction there, and neither committed nor aborted it.
 */
const retentionsHeldMax = 2;

/** Intervals of keep-alives after which a silent session may be ended to make room for another one of its client. */
const keepAlivesMissedMax = 2.5;

/** The registered clients of one storage. */
export class Sessions {
  readonly #deps: SessionsDeps;
  readonly #bySecret = new Map<string, Session>();
  readonly #byId = new Map<string, Session>();
  readonly #byClient = new Map<string, Set<Session>>();
  /** Sessions without a request so far, the oldest first. */
  readonly #unused = new Set<Session>();
  readonly #machine: typeof sessionMachine;

  constructor(deps: SessionsDeps) {
    this.#deps = deps;
    this.#machine = this.#provided();
  }

  get count(): number {
    return this.#bySecret.size;
  }

  /** The `countMax` oldest sessions. */
  first(countMax: number): readonly Session[] {
    return [...this.#bySecret.values()].slice(0, countMax);
  }

  /**
   * Opens a session, or returns the one that a copy of the same message opened. `oldestSnapshot` is valid until the
   * first report of the client. Throws ServerBusyError, MalformedMessageError.
   */
  open({ client, readOnly, clientSecret, sessionSecret, oldestSnapshot }: Register): Session {
    const { clock, options, storage, log, system, onFatal } = this.#deps;
    const owner = publicId(clientSecret);
    const opened = this.#bySecret.get(sessionSecret);
    if (opened !== undefined) {
      const isSame = opened.owner === owner && opened.client === client && opened.readOnly === readOnly;
      if (!isSame) throw new MalformedMessageError({ what: "register.sessionSecret", reason: "another registration has this secret" });
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
      fences: new FenceAllowance(clock, options.fencesPerSessionMax, limits.outcomeAgeMs),
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

  /** The live session with this secret. Records that its client sent a message. Throws UnknownSessionError. */
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

  /**
   * Records that the client of the session with this secret is alive, and its oldest open snapshot. `last`: last tid of
   * the storage. Throws UnknownSessionError.
   */
  alive(secret: string, oldestSnapshot: Tid | undefined, last: Tid): void {
    const session = this.heard(secret);
    session.oldestSnapshot = oldestSnapshot;
    // A snapshot at the last tid keeps no history, even if that tid is a day old.
    if (oldestSnapshot === undefined || oldestSnapshot >= last) {
      session.held = undefined;
      return;
    }
    const { clock, log, storage, options } = this.#deps;
    const snapshotHeldMs = retentionsHeldMax * (options.store.snapshotRetentionMs ?? limits.snapshotRetentionMs);
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

  /** Ends the session with this secret, at the wish of its client. Does nothing if the session is gone. */
  bye(secret: string): void {
    this.#bySecret.get(secret)?.actor.send({ type: "BYE" });
  }

  /** Ends the session with this public id: one of its voted transactions timed out. */
  hung(id: string): void {
    this.#byId.get(id)?.actor.send({ type: "TRANSACTION_HUNG" });
  }

  /** Oldest snapshot that a live client reads; undefined: no client reported one. */
  get oldestSnapshot(): Tid | undefined {
    let oldest: Tid | undefined;
    for (const { oldestSnapshot } of this.#bySecret.values()) {
      if (oldestSnapshot !== undefined && (oldest === undefined || oldestSnapshot < oldest)) oldest = oldestSnapshot;
    }
    return oldest;
  }

  /** Ends all actors at the end of the server. Sends and logs nothing. */
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

  /** Ends an unused session if a new one has no room. Throws ServerBusyError when no session can be ended. */
  #makeRoom(client: string): void {
    const { sessionsMax: countMax, sessionsPerClientMax: countPerClientMax } = this.#deps.options;
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

  /** The session of `sessions` whose last message is the oldest. */
  #quietest(sessions: Iterable<Session>): Session | undefined {
    let quietest: Session | undefined;
    for (const session of sessions) if (quietest === undefined || session.heardAtMs < quietest.heardAtMs) quietest = session;
    return quietest;
  }

  /**
   * Ends a session whose client is silent. False: the client may be alive. A client that is alive reports every
   * keepAliveIntervalMs, and sends a first request at once in a new session.
   */
  #displace(session: Session | undefined): boolean {
    if (session === undefined) return false;
    const { sessionTimeoutMs, keepAliveIntervalMs } = this.#deps.options;
    const silentMs = this.#deps.clock.monotonic() - session.heardAtMs;
    const idleMs = Math.min(sessionTimeoutMs, keepAlivesMissedMax * keepAliveIntervalMs);
    if (silentMs < (session.isUsed ? idleMs : limits.sessionUnusedMs)) return false;
    session.actor.send({ type: "DISPLACED" });
    return true;
  }

  #provided(): typeof sessionMachine {
    const { storage, clock, log, options, abortTransactions } = this.#deps;
    const { sessionTimeoutMs: timeoutMs } = options;
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
        // Whole milliseconds: a smaller delay from the subtraction may not advance the clock, and the timer would fire
        // again and again.
        silenceLeft: ({ context }) => Math.max(1, Math.ceil(timeoutMs - silentMs(context.session))),
      },
    });
  }
}
