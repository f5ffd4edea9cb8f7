import { type Actor, createActor, fromPromise } from "xstate";
import { groupCommitMachine } from "../../machines/server/group-commit.js";
import type { CommitBatch } from "../../storage/objects/object-store.js";
import type { LoggedTransaction, Position } from "../../core/transaction.js";
import {
  assert,
  ClosedError,
  ConflictError,
  DisconnectedError,
  InternalError,
  limits,
  ReadOnlyError,
  TransactionAbortedError,
  ZooidError,
} from "../../core/index.js";
import { backOff, type RetryPace } from "../../core/backoff.js";
import { BatchTime } from "./batch-time.js";
import { Maintenance } from "./maintenance.js";
import type { Committed } from "../protocol/messages.js";
import type { OpenTransactions } from "./open-transactions.js";
import type { StorageParts } from "./parts.js";
import type { PendingCommit } from "./pending-commit.js";

/** Parts of the storage that group commit uses. */
export interface GroupCommitDeps extends StorageParts {
  readonly transactions: OpenTransactions;
  /** Publishes committed transactions to all clients; called before any commit is answered. */
  readonly publish: (transactions: readonly LoggedTransaction[]) => void;
}

interface Written {
  readonly pending: PendingCommit;
  logged: LoggedTransaction | undefined;
}

/** Pace of the attempts to open a store again. */
const reopenPace: RetryPace = { delayMsMin: limits.reopenDelayMsMin, delayMsMax: limits.reopenDelayMsMax };

/** A batch, with the answers that wait for its end. */
interface Round {
  /** Last durable position when the batch was opened. */
  readonly before: Position;
  /** Commits and fences in the batch, in order. `logged` is undefined for a fence. */
  readonly written: Written[];
  /** Refusals caused by transactions of the batch: they are sent once it is durable. */
  readonly delayedRefusals: { readonly pending: PendingCommit; readonly error: ZooidError }[];
  transactions: readonly LoggedTransaction[];
}

/**
 * Writes the commits of one storage, one batch at a time. A transaction is committed when its batch is durable. Only
 * then does its tid leave the server: first in the invalidation to all clients, then in the answer to its commit.
 */
export class GroupCommit {
  readonly actor: Actor<typeof groupCommitMachine>;
  readonly #deps: GroupCommitDeps;
  readonly #maintenance = new Maintenance();
  /** The batch whose write failed. It is set until the log has been read again. */
  #inDoubt: Round | undefined;
  /** Whether `#openNext` is queued as a microtask. */
  #isWoken = false;
  #batches = 0;
  #commits = 0;
  #conflicts = 0;

  constructor(deps: GroupCommitDeps) {
    this.#deps = deps;
    this.actor = createActor(this.#provided(), { id: `server/${deps.storage}/group-commit`, clock: deps.clock });
    this.actor.subscribe({ error: deps.onFatal });
    this.actor.start();
  }

  get state(): string {
    return this.actor.getSnapshot().value;
  }

  /** Whether commits are refused for a while because too many writes failed. */
  get isReadOnly(): boolean {
    return this.state === "readOnly";
  }

  /** A write is in doubt: the store is closed until the log is read again. */
  get isInDoubt(): boolean {
    return this.actor.getSnapshot().hasTag("inDoubt");
  }

  get counters(): Readonly<Record<string, number>> {
    return { batches: this.#batches, commits: this.#commits, conflicts: this.#conflicts };
  }

  /** Call this after a commit was queued. Its batch opens once all messages of the same socket read are queued. */
  wake(): void {
    if (this.#isWoken) return;
    const state = this.state;
    if (state !== "idle" && state !== "readOnly") return;
    this.#isWoken = true;
    queueMicrotask(this.#openNext);
  }

  /** Runs `work` on the store between two batches, with the same result. Rejects with ClosedError once closed. */
  maintain<T>(work: () => Promise<T>): Promise<T> {
    if (!this.#isActive) return Promise.reject(new ClosedError({ what: "storage" }));
    const done = this.#maintenance.add(work);
    this.actor.send({ type: "MAINTENANCE_WAITING" });
    return done;
  }

  /** Completes the open batch, writes the finishes in the queue and refuses all other commits; then resolves. */
  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.actor.subscribe({ complete: resolve, error: () => resolve() });
      this.actor.send({ type: "CLOSE" });
    });
    this.#refuseWaiting((pending) => this.#closingError(pending));
    this.#maintenance.refuseAll();
  }

  /** Ends at once. Commits in the queue get no answer. */
  stop(): void {
    this.actor.stop();
    this.#maintenance.refuseAll();
  }

  #provided(): typeof groupCommitMachine {
    const { log, storage, store, queue, onFatal } = this.#deps;
    return groupCommitMachine.provide({
      actors: {
        maintain: fromPromise(() => this.#maintenance.runNext()),
        reopenStore: fromPromise(async () => {
          const position = await store.reopen();
          log.warn({ storage, tid: position.tid }, "the store was opened again");
        }),
      },
      actions: {
        writeBatch: ({ context: { closing } }) => {
          // Not within the step of this machine: a vote in the batch starts another machine.
          queueMicrotask(() => this.#writeWaiting(closing));
        },
        announceRecovered: () => {
          const round = this.#inDoubt;
          this.#inDoubt = undefined;
          if (round !== undefined) this.#announceRecovered(round);
        },
        refuseWaiting: () => this.#refuseWaiting(() => new ReadOnlyError({ who: "server" })),
        logInDoubt: (_, { error }) => log.error({ err: error, storage }, "a write is in doubt"),
        logReopeningFailed: (_, { error }) => log.error({ err: error, storage }, "the store could not be opened again"),
        logReadOnly: () => log.error({ storage, forMs: limits.writeProbationMs }, "the storage takes no commits"),
        reportFatal: (_, { error }) => onFatal(error),
        logUnexpected: ({ event }) => log.warn({ storage, event: event.type }, "an unexpected event"),
      },
      guards: {
        isFinishLeft: ({ context }) => context.closing && queue.hasFinish,
        areCommitsWaiting: ({ context }) => !context.closing && !queue.isEmpty,
        isMaintenanceWaiting: () => this.#maintenance.isWaiting,
      },
      delays: {
        reopenDelay: ({ context }) => backOff(context.reopeningsFailed + 1, reopenPace),
        probationDelay: limits.writeProbationMs,
      },
    });
  }

  /** False once this actor was stopped, failed or closed. */
  get #isActive(): boolean {
    return this.actor.getSnapshot().status === "active";
  }

  readonly #openNext = (): void => {
    this.#isWoken = false;
    const { status, value, context } = this.actor.getSnapshot();
    if (status !== "active") return;
    // After a failed write the machine must get the event of the next success: it counts failures in a row.
    const isAlone = this.#deps.queue.count === 1 && !this.#maintenance.isWaiting && context.writesFailed === 0;
    if (!isAlone || value !== "idle") {
      this.actor.send({ type: "COMMITS_WAITING" });
      return;
    }
    const writing = this.#startBatch(false);
    if (writing === undefined) return;
    this.actor.send({ type: "BATCH_STARTED" });
    void this.#report(writing);
  };

  #writeWaiting(closing: boolean): void {
    if (this.#isActive) void this.#report(this.#startBatch(closing));
  }

  /** Sends the machine the event of the batch's end. */
  async #report(writing: Promise<void> | undefined): Promise<void> {
    try {
      await writing;
    } catch (error) {
      if (this.#isActive) this.actor.send({ type: "BATCH_IN_DOUBT", error });
      return;
    }
    if (this.#isActive) this.actor.send({ type: "BATCH_WRITTEN" });
  }

  /**
   * Opens a batch with the commits in the queue, or only with the finishes when `closing`; writes and announces it.
   * Undefined: the batch was announced within this call. Never throws; rejects when the batch is in doubt or a bug
   * occurs.
   */
  #startBatch(closing: boolean): Promise<void> | undefined {
    try {
      return this.#openBatch(closing);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #openBatch(closing: boolean): Promise<void> | undefined {
    const { store, queue } = this.#deps;
    const batch = store.openBatch();
    const round: Round = { before: store.position, written: [], delayedRefusals: [], transactions: [] };
    try {
      this.#fill(batch, round, closing);
    } catch (error) {
      // This is a bug. The batch is not written; its commits are answered from the log once the store is open again.
      batch.discard();
      this.#inDoubt = round;
      throw error;
    }
    if (batch.isEmpty) {
      batch.discard();
      this.#announceWritten(round);
      return undefined;
    }
    round.transactions = batch.transactions;
    this.#batches++;
    const writing = batch.write({ alone: batch.transactions.length === 1 && queue.isEmpty });
    if (writing !== undefined) return this.#announceAfter(writing, round);
    this.#announceWritten(round);
    return undefined;
  }

  async #announceAfter(writing: Promise<void>, round: Round): Promise<void> {
    try {
      await writing;
    } catch (error) {
      this.#inDoubt = round;
      throw error;
    }
    if (this.#isActive) this.#announceWritten(round);
  }

  #fill(batch: CommitBatch, round: Round, closing: boolean): void {
    const { queue, options } = this.#deps;
    const time = new BatchTime(this.#deps.store);
    while (batch.bytes < options.batchBytesMax) {
      const pending = queue.nextCommit();
      if (pending === undefined) return;
      if (pending.ended) continue;
      if (closing && pending.kind !== "finish") this.#refuse(pending, this.#closingError(pending));
      else if (pending.request === undefined) this.#addFence(batch, round, pending);
      else this.#addCommit(batch, round, pending, time);
    }
  }

  #addFence(batch: CommitBatch, round: Round, pending: PendingCommit): void {
    try {
      // The transaction may have been committed after the fence was queued: then it needs no fence.
      if (batch.outcome(pending.id)?.type !== "committed") batch.fence(pending.id);
    } catch (error) {
      this.#refuse(pending, asZooidError(error));
      return;
    }
    round.written.push({ pending, logged: undefined });
  }

  #addCommit(batch: CommitBatch, round: Round, pending: PendingCommit, time: BatchTime): void {
    const { transactions } = this.#deps;
    const { request, kind } = pending;
    assert(request !== undefined, "a commit has a request");
    // A finish needs no validation: the transaction passed it at its vote, and the objects it holds have not changed.
    if (kind !== "finish") {
      try {
        if (transactions.mustWait(pending, request)) return;
        // A wrong clock must refuse a vote here: the finish needs a tid and cannot be refused.
        time.check();
        batch.validate(request);
        if (kind === "vote") transactions.voted(pending, request);
      } catch (error) {
        this.#refuseOrDelay(round, pending, asZooidError(error));
        return;
      }
      if (kind === "vote") {
        this.#deps.queue.land(pending);
        pending.done();
        return;
      }
      if (pending.isOpen) transactions.notify(pending, "ADDED");
    }
    const written: Written = { pending, logged: undefined };
    round.written.push(written);
    written.logged = batch.addTransaction(request, time.nowMs);
  }

  /**
   * Refuses `pending` at once. If it conflicts with a transaction of this batch, it is refused once the batch is
   * durable: the error names a tid, and no tid leaves the server earlier.
   */
  #refuseOrDelay(round: Round, pending: PendingCommit, error: ZooidError): void {
    if (error instanceof ConflictError) this.#conflicts++;
    if (error instanceof ConflictError && error.current > round.before.tid) round.delayedRefusals.push({ pending, error });
    else this.#refuse(pending, error);
  }

  #refuse(pending: PendingCommit, error: ZooidError): void {
    const { queue, transactions, refusedIds, log, storage } = this.#deps;
    if (error.code === "ZOOID_INTERNAL") log.error({ err: error.cause, storage, transaction: pending.id }, "a commit failed due to a bug");
    // A late copy would conflict or be too old as well. Other reasons may pass: from now on the id itself is refused.
    if (error.code !== "ZOOID_CONFLICT" && error.code !== "ZOOID_SNAPSHOT_TOO_OLD") refusedIds.refuse(pending.id, "aborted");
    queue.land(pending);
    if (pending.isOpen) transactions.notify(pending, "REFUSED");
    pending.refused(error);
  }

  #announceWritten(round: Round): void {
    if (round.transactions.length > 0) this.#deps.publish(round.transactions);
    for (const { pending, logged } of round.written) {
      if (logged !== undefined) this.#answerCommitted(pending, logged);
      else this.#answerFenced(pending);
    }
    for (const { pending, error } of round.delayedRefusals) this.#refuse(pending, error);
  }

  /** The log decides: the transactions of the batch that it has are committed, the others never commit. */
  #announceRecovered(round: Round): void {
    const { store, queue, publish } = this.#deps;
    for (let after = round.before.tid; ;) {
      const { transactions, whole } = store.transactionsAfter(after, limits.invalidationQueueSize, limits.invalidationKeysMax);
      const last = transactions.at(-1);
      if (last === undefined) break;
      publish(transactions);
      if (whole) break;
      after = last.tid;
    }
    const again: PendingCommit[] = [];
    for (const { pending } of round.written) {
      const outcome = store.outcome(pending.id);
      if (outcome?.type === "committed") {
        const logged = store.headAt(outcome.tid);
        if (logged !== undefined) this.#answerCommitted(pending, logged);
      } else if (pending.kind !== "fence") {
        this.#refuse(pending, new TransactionAbortedError({ transaction: pending.id }));
      } else if (outcome === undefined) {
        again.push(pending);
      } else {
        this.#answerFenced(pending);
      }
    }
    // Commits that conflicted with the batch are validated again: the batch may not be in the log.
    for (const { pending } of round.delayedRefusals) again.push(pending);
    if (again.length > 0) queue.addFirst(again);
  }

  #answerCommitted(pending: PendingCommit, logged: Committed): void {
    this.#commits++;
    this.#deps.queue.land(pending);
    if (pending.isOpen) this.#deps.transactions.notify(pending, "WRITTEN");
    pending.committed(logged);
  }

  #answerFenced(pending: PendingCommit): void {
    this.#deps.queue.land(pending);
    pending.done();
  }

  #refuseWaiting(reason: (pending: PendingCommit) => ZooidError): void {
    const { queue } = this.#deps;
    for (let pending = queue.nextCommit(); pending !== undefined; pending = queue.nextCommit()) {
      if (!pending.ended) this.#refuse(pending, reason(pending));
    }
  }

  /**
   * Error for a commit that is pending at the end. A fence that was not written settles nothing: its client asks the
   * next server.
   */
  #closingError({ kind, id }: PendingCommit): ZooidError {
    return kind === "fence" ? new DisconnectedError({ address: this.#deps.storage }) : new TransactionAbortedError({ transaction: id });
  }
}

function asZooidError(error: unknown): ZooidError {
  return error instanceof ZooidError ? error : new InternalError({ reason: error instanceof Error ? error.message : String(error) }, error);
}
