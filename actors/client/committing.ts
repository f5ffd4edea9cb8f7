import { createActor, fromPromise, type Actor } from "xstate";
import { commitMachine, type CommitOutput, type CommitPosition } from "../../machines/client/commit.js";
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
  TooLargeError,
  TransactionAbortedError,
  WriteInDoubtError,
  ZooidError,
  type Tid,
} from "../../core/index.js";
import type { ClientCore, CommitUnderWay } from "./client-core.js";
import type { CommitRequest } from "../protocol/messages.js";
import type { ClosingSignal } from "./closing.js";
import { retryDelay } from "../../core/backoff.js";
import type { ServerLink } from "./connection/server-link.js";
import * as wire from "../protocol/codec.js";

/**
 * Commits in one message. Where its answer is lost the outcome is settled by its id, however often the link is lost meanwhile:
 * it resolves or rejects with what truly became of it, or with OutcomeUnknownError when that cannot be known.
 */
export async function commitWhole(
  core: ClientCore,
  request: CommitRequest,
  { signal, ending }: { readonly signal?: AbortSignal | undefined; readonly ending: ClosingSignal },
): Promise<Tid> {
  const { history } = core;
  const link = await ending.sooner(core.connection.writable(core.waitTimeoutMs, signal));
  checkHistory(core, history, request);
  const payload = requestBytes(link, request);
  const ticket = core.cache.beginLoad(request.snapshot);
  try {
    const committed = await link.request("commit", payload, wire.committed);
    core.committed(committed, keysOf(request));
    core.cache.admitCommitted(ticket, request.writes, { tid: committed.tid, digest: committed.digest });
    return committed.tid;
  } catch (error) {
    if (!isInDoubt(error)) throw error;
    core.log.info({ ...facts(core, request), err: error }, "commit in doubt");
  } finally {
    core.cache.endLoad(ticket);
  }
  const lifecycle = new CommitLifecycle(core, request, "settle");
  return lifecycle.tid(await lifecycle.ended);
}

/** A transaction that is voted, then finished or aborted, by whoever coordinates it. */
export class VotedCommit {
  readonly #lifecycle: CommitLifecycle;

  constructor(core: ClientCore, request: CommitRequest) {
    this.#lifecycle = new CommitLifecycle(core, request, "vote");
  }

  /** Resolves when the server holds all that it read and wrote. */
  async vote(): Promise<void> {
    const output = await Promise.race([this.#lifecycle.voted, this.#lifecycle.ended]);
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

/** The commit machine as it runs for one transaction. */
class CommitLifecycle implements CommitUnderWay {
  readonly actor: Actor<typeof commitMachine>;
  readonly ended: Promise<CommitOutput>;
  readonly voted: Promise<undefined>;
  readonly #core: ClientCore;
  readonly #request: CommitRequest;
  readonly #history: number;
  /** Times that its outcome was asked for. */
  attempts = 0;

  constructor(core: ClientCore, request: CommitRequest, start: "vote" | "settle") {
    this.#core = core;
    this.#request = request;
    this.#history = core.history;
    const { clock } = core;
    this.actor = createActor(machineOf(core), {
      id: `client/${core.client}/commit/${request.id}`,
      clock: { setTimeout: (action, delayMs) => clock.setTimeout(action, delayMs), clearTimeout: (timer) => clock.clearTimeout(timer) },
      input: { id: request.id, start },
    });
    let tellVoted: (nothing: undefined) => void = () => undefined;
    this.voted = new Promise((resolve) => {
      tellVoted = resolve;
    });
    this.ended = new Promise((resolve, reject) => {
      this.actor.subscribe({
        next: (snapshot) => {
          if (snapshot.matches("voted")) tellVoted(undefined);
          if (snapshot.status === "done") resolve(snapshot.output);
        },
        error: reject,
      });
    });
    // Told to whoever waits; nobody need wait for the end of what was voted.
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
    if (this.actor.getSnapshot().status === "active") this.actor.send({ type: "FINISH" });
  }

  giveUp(): void {
    if (this.actor.getSnapshot().status === "active") this.actor.send({ type: "GIVE_UP" });
  }

  abandon(): void {
    const { value } = this.actor.getSnapshot();
    if (value === "voting" || value === "voted") this.actor.send({ type: "ABORT" });
  }

  /** Tid of what committed. Throws what became of anything else. */
  tid(output: CommitOutput): Tid {
    const transaction = this.#request.id;
    switch (output.type) {
      case "committed": {
        const { tid, previous, digest } = output.position;
        this.#core.committed({ tid: asTid(tid), previous: asTid(previous), digest }, keysOf(this.#request));
        return asTid(tid);
      }
      case "aborted": {
        const told = output.error instanceof ZooidError && !isInDoubt(output.error) ? output.error : undefined;
        const error = told ?? new TransactionAbortedError({ transaction }, output.error);
        if (output.secondPhase) {
          const { writes } = this.#request;
          const keys = writes.slice(0, limits.loggedKeysMax).map(({ key }) => key);
          this.#core.log.fatal(
            { ...facts(this.#core, this.#request), err: error, keys, keyCount: writes.length },
            "aborted in its second phase: what was coordinated with it may be half done",
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

  async settle(): Promise<CommitPosition | undefined> {
    const { connection, waitTimeoutMs } = this.#core;
    const { id, snapshot } = this.#request;
    const link = await connection.connected(waitTimeoutMs);
    // The server's history is not the one that it was sent to: "never" would say nothing about that one.
    if (this.#history !== this.#core.history) throw new OutcomeUnknownError({ transaction: id });
    if (this.actor.getSnapshot().context.secondPhase) {
      // The server may hold its vote still: settling alone would abort it, though others have finished.
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

/** The commit machine with this client's effects: provided once, for that costs ten times what an event does. */
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
      settle: fromPromise(({ input }) => the(input.id).settle()),
    },
    actions: {
      logUnexpected: ({ context, event }) => log.debug({ client, storage, transaction: context.id, event: event.type }, "unexpected event"),
    },
    guards: {
      isInDoubt: (_, { error }) => isInDoubt(error),
      isUnknowable: (_, { error }) => error instanceof OutcomeUnknownError || error instanceof ClosedError,
    },
    delays: {
      settleDelay: ({ context }) => retryDelay(++the(context.id).attempts, random),
      settleTimeout: waitTimeoutMs,
    },
  });
  providedMachines.set(core, machine);
  return machine;
}

/**
 * Whether the server committed it cannot be told from `error`: the answer was lost, or was that to a late copy of the request.
 * All else is an answer that the server gives only when it did not and will not commit.
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

/** What was malformed is the answer, not what was asked: a server refuses a request by other names. */
function isOfAnswer(what: string): boolean {
  return what === "answer" || what === "error" || what.startsWith("committed");
}

/** Its snapshot is of a history that was replaced while it waited for a link: the one that there is now would take it for its own. */
function checkHistory(core: ClientCore, history: number, request: CommitRequest): void {
  if (history !== core.history) throw new SnapshotTooOldError({ snapshot: request.snapshot, floor: core.cache.position.tid });
}

function requestBytes(link: ServerLink, request: CommitRequest): Uint8Array {
  const payload = wire.commit.write({ session: link.session, ...request });
  if (payload.length > limits.messageBytesMax) {
    throw new TooLargeError({ what: "transaction", size: payload.length, sizeMax: limits.messageBytesMax });
  }
  return payload;
}

const keysOf = (request: CommitRequest): readonly string[] => request.writes.map(({ key }) => key);

const facts = (core: ClientCore, request: CommitRequest) => ({ client: core.client, storage: core.storage, transaction: request.id });
