import { createActor, fromPromise, toPromise, type Actor } from "xstate";
import { commitMachine, type CommitEvent, type CommitOutput, type CommitPosition } from "../../machines/client/commit.js";
import {
  assert,
  asTid,
  ClosedError,
  CapturedSubjectsError,
  DisconnectedError,
  InternalError,
  limits,
  MalformedMessageError,
  OutcomeUnknownError,
  SnapshotTooOldError,
  TimeoutError,
  checkSize,
  TransactionAbortedError,
  WriteInDoubtError,
  ZooidError,
  type Tid,
} from "../../core/index.js";
import type { ClientCore, CommitUnderWay } from "./client-core.js";
import type { CommitRequest } from "../protocol/messages.js";
import type { ClosingSignal } from "./closing.js";
import { retryDelay } from "../../core/backoff.js";
import { deferred } from "../../core/deferred.js";
import type { ServerLink } from "./connection/server-link.js";
import * as wire from "../protocol/codec.js";

/**
 * Commits in one message. If its answer is lost, the outcome is settled by the transaction's id, over as many links as
 * it takes. Resolves or rejects with the true outcome, or rejects with OutcomeUnknownError when it cannot be known.
 */
export async function commitWhole(
  core: ClientCore,
  request: CommitRequest,
  { signal, ending }: { readonly signal?: AbortSignal | undefined; readonly ending: ClosingSignal },
): Promise<Tid> {
  const { history, batches } = core;
  let link: ServerLink;
  let payload: Uint8Array;
  batches.begun(core.connection.isConnected);
  try {
    link = await ending.sooner(core.connection.writable(core.waitTimeoutMs, signal));
    checkHistory(core, history, request);
    payload = requestBytes(link, request);
  } catch (error) {
    batches.notSent();
    throw error;
  }
  const ticket = core.cache.beginLoad(request.snapshot);
  noteSent(core, request);
  try {
    const answer = link.request("commit", payload, wire.committed);
    batches.sent();
    const committed = await answer;
    noteCommitted(core, request, committed.tid);
    core.committed(committed, keysOf(request));
    core.cache.admitCommitted(ticket, request.writes, { tid: committed.tid, digest: committed.digest });
    return committed.tid;
  } catch (error) {
    if (!isInDoubt(error)) {
      noteRefused(core, request, error);
      throw error;
    }
    core.log.info({ ...facts(core, request), err: error }, "commit in doubt");
  } finally {
    core.cache.endLoad(ticket);
    batches.answered();
  }
  const lifecycle = new CommitLifecycle(core, request, "settle");
  return lifecycle.tid(await lifecycle.ended);
}

/** A transaction that is voted, and then finished or aborted by its coordinator. */
export class VotedCommit {
  readonly #lifecycle: CommitLifecycle;

  constructor(core: ClientCore, request: CommitRequest) {
    this.#lifecycle = new CommitLifecycle(core, request, "vote");
  }

  /** Resolves when the server holds all that the transaction read and wrote. */
  async vote(): Promise<void> {
    const output = await Promise.race([this.#lifecycle.voted.promise, this.#lifecycle.ended]);
    if (output !== undefined) this.#lifecycle.tid(output);
  }

  async finish(): Promise<Tid> {
    this.#lifecycle.finish();
    return this.#lifecycle.tid(await this.#lifecycle.ended);
  }

  async abort(): Promise<void> {
    this.#lifecycle.abandon();
    await this.#lifecycle.ended;
  }
}

/** Runs the commit machine for one transaction. */
class CommitLifecycle implements CommitUnderWay {
  readonly actor: Actor<typeof commitMachine>;
  readonly ended: Promise<CommitOutput>;
  readonly voted = deferred<undefined>();
  readonly #core: ClientCore;
  readonly #request: CommitRequest;
  readonly #history: number;

  constructor(core: ClientCore, request: CommitRequest, start: "vote" | "settle") {
    this.#core = core;
    this.#request = request;
    this.#history = core.history;
    this.actor = createActor(machineOf(core), {
      id: `client/${core.client}/commit/${request.id}`,
      clock: core.clock,
      input: { id: request.id, start },
    });
    this.ended = toPromise(this.actor);
    // A voted transaction may end without a caller that waits for it.
    this.ended.catch(() => undefined);
    core.commits.set(request.id, this);
    const hide = core.register(`commit/${request.id}`, this.actor, () => ({ storage: core.storage, keyCount: request.writes.length }));
    const forget = () => {
      hide();
      core.commits.delete(request.id);
    };
    this.actor.subscribe({ complete: forget, error: forget });
    this.actor.start();
  }

  finish(): void {
    this.#send({ type: "FINISH" });
  }

  giveUp(): void {
    this.#send({ type: "GIVE_UP" });
  }

  abandon(): void {
    this.#send({ type: "ABORT" });
  }

  /** A commit that has ended takes no events. */
  #send(event: CommitEvent): void {
    if (this.actor.getSnapshot().status === "active") this.actor.send(event);
  }

  /** Returns the tid of a transaction that committed. For any other outcome, throws its error. */
  tid(output: CommitOutput): Tid {
    const transaction = this.#request.id;
    switch (output.type) {
      case "committed": {
        const { tid, previous, digest } = output.position;
        noteCommitted(this.#core, this.#request, asTid(tid));
        this.#core.committed({ tid: asTid(tid), previous: asTid(previous), digest }, keysOf(this.#request));
        return asTid(tid);
      }
      case "aborted": {
        const answered = output.error instanceof ZooidError && !isInDoubt(output.error) ? output.error : undefined;
        const error = answered ?? new TransactionAbortedError({ transaction }, output.error);
        noteRefused(this.#core, this.#request, error);
        if (output.secondPhase) {
          const { writes } = this.#request;
          const keys = writes.slice(0, limits.loggedKeysMax).map(({ key }) => key);
          this.#core.log.fatal(
            { ...facts(this.#core, this.#request), err: error, keys, keyCount: writes.length },
            "aborted in its second phase: the transactions that were coordinated with it may be half done",
          );
        }
        throw error;
      }
      case "unknown":
        throw output.error instanceof OutcomeUnknownError ? output.error : new OutcomeUnknownError({ transaction }, output.error);
    }
  }

  async vote(): Promise<void> {
    const { connection, waitTimeoutMs } = this.#core;
    const link = await connection.writable(waitTimeoutMs);
    checkHistory(this.#core, this.#history, this.#request);
    noteSent(this.#core, this.#request);
    await link.request("vote", requestBytes(link, this.#request), wire.nothing);
  }

  async sendFinish(): Promise<CommitPosition> {
    const { connection, waitTimeoutMs } = this.#core;
    return this.#finishOn(await connection.connectedInTime(waitTimeoutMs));
  }

  async sendAbort(): Promise<void> {
    const { link } = this.#core.connection;
    if (link !== undefined) await link.request("abort", wire.finish.write({ session: link.session, id: this.#request.id }), wire.nothing);
  }

  /** `secondPhase`: the finish was sent. */
  async settle(secondPhase: boolean): Promise<CommitPosition | undefined> {
    const { connection, waitTimeoutMs } = this.#core;
    const { id, snapshot } = this.#request;
    const link = await connection.connected(waitTimeoutMs);
    // The transaction was sent to a server with another history. The answer "never" of this server does not hold for
    // it.
    if (this.#history !== this.#core.history) throw new OutcomeUnknownError({ transaction: id });
    if (secondPhase) {
      // The server may still hold the vote. Settling alone would abort it, although the transactions that are
      // coordinated with it may have finished.
      const finished = await this.#finishOn(link).catch((error: unknown) => {
        if (isInDoubt(error)) throw error;
        return undefined;
      });
      if (finished !== undefined) return finished;
    }
    const { committed } = await link.request("settle", wire.settle.write({ session: link.session, id, snapshot }), wire.settled);
    return committed;
  }

  #finishOn(link: ServerLink): Promise<CommitPosition> {
    return link.request("finish", wire.finish.write({ session: link.session, id: this.#request.id }), wire.committed);
  }
}

const providedMachines = new WeakMap<ClientCore, typeof commitMachine>();

/**
 * The commit machine with this client's effects. It is provided once per client: providing costs ten times as much as
 * an event.
 */
function machineOf(core: ClientCore): typeof commitMachine {
  const known = providedMachines.get(core);
  if (known !== undefined) return known;
  const { waitTimeoutMs, random, client, storage, log } = core;
  const the = (id: string): CommitLifecycle => {
    const lifecycle = core.commits.get(id);
    assert(lifecycle instanceof CommitLifecycle, "a commit that runs is under way");
    return lifecycle;
  };
  const machine = commitMachine.provide({
    actors: {
      vote: fromPromise(({ input }) => the(input.id).vote()),
      finish: fromPromise(({ input }) => the(input.id).sendFinish()),
      abort: fromPromise(({ input }) => the(input.id).sendAbort()),
      settle: fromPromise(({ input }) => the(input.id).settle(input.secondPhase)),
    },
    actions: {
      reportVoted: (_, { id }) => the(id).voted.resolve(undefined),
      logUnexpected: ({ context, event }) => log.debug({ client, storage, transaction: context.id, event: event.type }, "unexpected event"),
    },
    guards: {
      isInDoubt: (_, { error }) => isInDoubt(error),
      isUnknowable: (_, { error }) => error instanceof OutcomeUnknownError || error instanceof ClosedError,
    },
    delays: {
      settleDelay: ({ context }) => retryDelay(context.pauses, random),
      settleTimeout: waitTimeoutMs,
    },
  });
  providedMachines.set(core, machine);
  return machine;
}

/**
 * Whether `error` leaves open if the server committed: the answer was lost, or it was the answer to a late copy of the
 * request. Every other error is an answer that the server gives only when it did not commit and never will.
 */
function isInDoubt(error: unknown): boolean {
  return (
    !(error instanceof ZooidError) ||
    error instanceof DisconnectedError ||
    error instanceof TimeoutError ||
    error instanceof InternalError ||
    error instanceof WriteInDoubtError ||
    error instanceof CapturedSubjectsError ||
    (error instanceof MalformedMessageError && isOfAnswer(error.what))
  );
}

/** The malformed message is the answer, not the request: a server that refuses a request uses other names. */
function isOfAnswer(what: string): boolean {
  return what === "answer" || what === "error" || what.startsWith("committed");
}

/**
 * Throws SnapshotTooOldError when the history of the snapshot was replaced while the commit waited for a link.
 * Otherwise the server would take the snapshot for one of its own history.
 */
function checkHistory(core: ClientCore, history: number, request: CommitRequest): void {
  if (history !== core.history) throw new SnapshotTooOldError({ snapshot: request.snapshot, floor: core.cache.position.tid });
}

function requestBytes(link: ServerLink, request: CommitRequest): Uint8Array {
  const payload = wire.commit.write({ session: link.session, ...request });
  checkSize("transaction", payload.length, limits.messageBytesMax);
  return payload;
}

function noteSent({ notes, client, storage }: ClientCore, { id, writes }: CommitRequest): void {
  if (notes.admits()) notes.note({ what: "sent", who: `client/${client}`, of: storage, id, size: writes.length });
}

function noteCommitted({ notes, client, storage }: ClientCore, { id }: CommitRequest, number: Tid): void {
  if (notes.admits()) notes.note({ what: "committed", who: `client/${client}`, of: storage, id, number });
}

function noteRefused({ notes, client, storage }: ClientCore, { id }: CommitRequest, error: unknown): void {
  if (!notes.admits()) return;
  const reason = error instanceof ZooidError ? error.code : "ZOOID_INTERNAL";
  notes.note({ what: "refused", who: `client/${client}`, of: storage, id, reason });
}

const keysOf = (request: CommitRequest): readonly string[] => request.writes.map(({ key }) => key);

const facts = (core: ClientCore, request: CommitRequest) => ({ client: core.client, storage: core.storage, transaction: request.id });
