import { type Actor, createActor, fromPromise } from "xstate";
import { groupCommitMachine, type GroupCommitEvent } from "../../machines/server/group-commit.js";
import type { CommitBatch, ObjectStore } from "../../storage/objects/object-store.js";
import type { LoggedTransaction, Position } from "../../core/transaction.js";
import {
  assert,
  type Clock,
  ClosedError,
  ConflictError,
  DisconnectedError,
  InternalError,
  limits,
  type Log,
  ReadOnlyError,
  TransactionAbortedError,
  WriteInDoubtError,
  ZooidError,
} from "../../core/index.js";
import { BatchTime } from "./batch-time.js";
import type { CommitQueue } from "./commit-queue.js";
import type { Committed } from "../protocol/messages.js";
import type { OpenTransactions } from "./open-transactions.js";
import type { PendingCommit } from "./pending-commit.js";
import type { RefusedIds } from "./refused-ids.js";

export interface GroupCommitDeps {
  readonly storage: string;
  readonly store: ObjectStore;
  readonly queue: CommitQueue;
  readonly transactions: OpenTransactions;
  readonly refusedIds: RefusedIds;
  readonly batchBytesMax: number;
  readonly clock: Clock;
  readonly log: Log;
  /** Tells all clients what was committed, before anybody is answered. */
  readonly publish: (transactions: readonly LoggedTransaction[]) => void;
  /** The store cannot be opened again, or a bug ended this actor. */
  readonly onFatal: (error: unknown) => void;
}

interface Written {
  readonly pending: PendingCommit;
  logged: LoggedTransaction | undefined;
}

/** The batch in the air. */
interface Round {
  /** What was durable when it opened. */
  readonly before: Position;
  /** What it holds, in order. `logged` is undefined for a fence. */
  readonly written: Written[];
  /** Answers that rest on what it holds. */
  readonly resting: { readonly pending: PendingCommit; readonly error: ZooidError }[];
  transactions: readonly LoggedTransaction[];
}

interface Maintenance {
  readonly work: () => Promise<void>;
  readonly refuse: (error: unknown) => void;
}

/**
 * Writes the commits of one storage in batches, one in the air. The commit point of a transaction is the moment its batch is
 * durable; its tid leaves the server after that, to all clients first and then to who asked.
 */
export class GroupCommit {
  readonly actor: Actor<typeof groupCommitMachine>;
  readonly #deps: GroupCommitDeps;
  readonly #maintenance: Maintenance[] = [];
  #round: Round | undefined;
  /** A batch that was started before the machine was told. */
  #inAir: Promise<void> | undefined;
  #isWaking = false;
  #isKilled = false;
  #batches = 0;
  #commits = 0;
  #conflicts = 0;

  constructor(deps: GroupCommitDeps) {
    this.#deps = deps;
    this.actor = createActor(this.#provided(), { id: `server/${deps.storage}/group-commit`, clock: deps.clock });
    this.actor.subscribe({
      error: deps.onFatal,
    });
    this.actor.start();
  }

  get state(): string {
    return this.actor.getSnapshot().value;
  }

  /** Writing failed too often: commits are refused for a while. */
  get isReadOnly(): boolean {
    return this.state === "readOnly";
  }

  get counters(): Readonly<Record<string, number>> {
    return { batches: this.#batches, commits: this.#commits, conflicts: this.#conflicts };
  }

  /** Something waits in the queue. The batch opens after all messages of the same read were taken in. */
  wake(): void {
    if (this.#isWaking) return;
    const state = this.state;
    if (state !== "idle" && state !== "readOnly") return;
    this.#isWaking = true;
    queueMicrotask(() => {
      this.#isWaking = false;
      // A commit that nothing else waits for is on disk and answered before the machine would have taken its first step.
      if (this.state === "idle" && this.#deps.queue.count === 1 && this.#maintenance.length === 0) {
        this.#inAir = this.#startAlone();
        if (this.#inAir === undefined) return;
      }
      this.actor.send({ type: "COMMITS_WAITING" });
    });
  }

  /** Runs `work` on the store between two batches; resolves and rejects as it does. */
  maintain<T>(work: () => Promise<T>): Promise<T> {
    if (this.actor.getSnapshot().status !== "active") return Promise.reject(new ClosedError({ what: "storage" }));
    return new Promise<T>((resolve, reject) => {
      this.#maintenance.push({
        work: async () => {
          try {
            resolve(await work());
          } catch (error) {
            reject(error instanceof Error ? error : new Error(String(error)));
            if (error instanceof WriteInDoubtError) throw error;
          }
        },
        refuse: reject,
      });
      this.actor.send({ type: "MAINTENANCE_WAITING" });
    });
  }

  /** Resolves when nothing is in the air and nothing more will be: finishes that waited were written, and all else that waits is refused. */
  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.actor.subscribe({ complete: resolve, error: () => resolve() });
      this.actor.send({ type: "CLOSE" });
    });
    this.#refuseWaiting((pending) => this.#leftBehind(pending));
    this.#refuseMaintenance();
  }

  /** Ends at once, and answers nobody. */
  stop(): void {
    this.#isKilled = true;
    this.actor.stop();
    this.#refuseMaintenance();
  }

  #provided(): typeof groupCommitMachine {
    const { log, storage, store, queue, onFatal } = this.#deps;
    return groupCommitMachine.provide({
      actors: {
        maintain: fromPromise(async () => {
          await this.#maintenance.shift()?.work();
        }),
        reopenStore: fromPromise(async () => {
          const position = await store.reopen();
          log.warn({ storage, tid: position.tid }, "opened again");
        }),
      },
      actions: {
        writeBatch: ({ context }) => {
          void this.#continueBatch(context.closing);
        },
        announceRecovered: () => {
          const round = this.#round;
          this.#round = undefined;
          if (round !== undefined) this.#announceRecovered(round);
        },
        refuseWaiting: () => this.#refuseWaiting(() => new ReadOnlyError({ who: "server" })),
        logInDoubt: (_, { error }) => log.error({ err: error, storage }, "a write is in doubt"),
        logReopeningFailed: (_, { error }) => log.error({ err: error, storage }, "could not be opened again"),
        logReadOnly: () => log.error({ storage, forMs: limits.writeProbationMs }, "takes no commits"),
        tellFatal: (_, { error }) => onFatal(error),
        logUnexpected: ({ event }) => log.warn({ storage, event: event.type }, "an unexpected event"),
      },
      guards: {
        isFinishLeft: ({ context }) => context.closing && queue.hasFinish,
        areCommitsWaiting: () => this.#inAir !== undefined || !queue.isEmpty,
        isMaintenanceWaiting: () => this.#maintenance.length > 0,
        isMaintenanceNext: ({ context }) => this.#maintenance.length > 0 && !context.maintainedLast,
      },
      delays: {
        reopenDelay: ({ context }) => Math.min(limits.reopenDelayMsMin * 2 ** context.reopeningsFailed, limits.reopenDelayMsMax),
        probationDelay: limits.writeProbationMs,
      },
    });
  }

  /** As `#startBatch`; what it throws, a bug, rejects too: nobody stands above this call to hear it. */
  #startAlone(): Promise<void> | undefined {
    try {
      return this.#startBatch();
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Opens a batch, unless one is in the air already, and tells the machine what became of it. */
  async #continueBatch(closing: boolean): Promise<void> {
    // Outside of the machine's action: a vote in the batch starts a machine of its own.
    await Promise.resolve();
    if (this.#isKilled) return;
    let event: GroupCommitEvent = { type: "BATCH_WRITTEN" };
    try {
      const writing = this.#inAir ?? this.#startBatch(closing);
      this.#inAir = undefined;
      await writing;
    } catch (error) {
      event = { type: "BATCH_IN_DOUBT", error };
    }
    if (!this.#isKilled) this.actor.send(event);
  }

  /**
   * Opens a batch with what waits, when `closing` with the finishes alone, writes and announces it. Undefined: that is done. Rejects when the batch is in doubt, or a bug
   * kept it from being written; `#round` is then what it held.
   */
  #startBatch(closing = false): Promise<void> | undefined {
    const { store, queue } = this.#deps;
    const batch = store.openBatch();
    const round: Round = { before: store.position, written: [], resting: [], transactions: [] };
    this.#round = round;
    try {
      this.#fill(batch, round, closing);
    } catch (error) {
      // A bug: nothing of this batch was written, and the store is opened again to be sure of it.
      batch.discard();
      return Promise.reject(error);
    }
    if (batch.isEmpty) {
      batch.discard();
      this.#announceWritten(round);
      return undefined;
    }
    round.transactions = batch.transactions;
    this.#batches++;
    const writing = batch.write({ alone: batch.transactions.length === 1 && queue.isEmpty });
    if (writing !== undefined) return writing.then(() => (this.#isKilled ? undefined : this.#announceWritten(round)));
    this.#announceWritten(round);
    return undefined;
  }

  #fill(batch: CommitBatch, round: Round, closing: boolean): void {
    const { queue, batchBytesMax } = this.#deps;
    const time = new BatchTime(this.#deps.store);
    while (batch.bytes < batchBytesMax) {
      const pending = queue.nextCommit();
      if (pending === undefined) return;
      if (pending.ended) continue;
      if (closing && pending.kind !== "finish") this.#refuse(pending, this.#leftBehind(pending));
      else if (pending.request === undefined) this.#addFence(batch, round, pending);
      else this.#addCommit(batch, round, pending, time);
    }
  }

  #addFence(batch: CommitBatch, round: Round, pending: PendingCommit): void {
    try {
      // Committed after all: it was in the log when the fence came to be written.
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
    assert(request !== undefined, "what commits has something to commit");
    // Holders were validated when they voted, and nothing has passed them by since.
    if (kind !== "finish") {
      try {
        if (transactions.mustWait(pending, request)) return;
        // What votes needs a tid later, which is not refused then.
        time.check();
        batch.validate(request);
        if (kind === "vote") transactions.voted(pending, request);
      } catch (error) {
        this.#refuseInTime(round, pending, asZooidError(error));
        return;
      }
      if (kind === "vote") {
        this.#deps.queue.land(pending);
        pending.done();
        return;
      }
      if (pending.isOpen) transactions.tell(pending, "ADDED");
    }
    const written: Written = { pending, logged: undefined };
    round.written.push(written);
    written.logged = batch.addTransaction(request, time.nowMs);
  }

  /** At once, unless the reason lies in this batch: no tid of it leaves before it is durable. */
  #refuseInTime(round: Round, pending: PendingCommit, error: ZooidError): void {
    if (error instanceof ConflictError) this.#conflicts++;
    if (error instanceof ConflictError && error.current > round.before.tid) round.resting.push({ pending, error });
    else this.#refuse(pending, error);
  }

  #refuse(pending: PendingCommit, error: ZooidError): void {
    const { queue, transactions, refusedIds, log, storage } = this.#deps;
    if (error.code === "ZOOID_INTERNAL") log.error({ err: error.cause, storage, transaction: pending.id }, "a commit met a bug");
    // A conflict and a snapshot too old stay so for ever; other reasons pass, and a late copy must not.
    if (error.code !== "ZOOID_CONFLICT" && error.code !== "ZOOID_SNAPSHOT_TOO_OLD") refusedIds.refuse(pending.id, "aborted");
    queue.land(pending);
    if (pending.isOpen) transactions.tell(pending, "REFUSED");
    pending.refused(error);
  }

  #announceWritten(round: Round): void {
    this.#round = undefined;
    if (round.transactions.length > 0) this.#deps.publish(round.transactions);
    for (const { pending, logged } of round.written) {
      if (logged !== undefined) this.#answerCommitted(pending, logged);
      else this.#answerFenced(pending);
    }
    for (const { pending, error } of round.resting) this.#refuse(pending, error);
  }

  /** The log decides what is true: what it holds of the batch was committed, the rest never will be. */
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
    // What rested on the batch is looked at again: its reason may be gone.
    for (const { pending } of round.resting) again.push(pending);
    if (again.length > 0) queue.addFirst(again);
  }

  #answerCommitted(pending: PendingCommit, logged: Committed): void {
    this.#commits++;
    this.#deps.queue.land(pending);
    if (pending.isOpen) this.#deps.transactions.tell(pending, "WRITTEN");
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

  /** What is told to who waits at the end. A fence that was not written settles nothing: who asked has to ask the next server. */
  #leftBehind({ kind, id }: PendingCommit): ZooidError {
    return kind === "fence" ? new DisconnectedError({ address: this.#deps.storage }) : new TransactionAbortedError({ transaction: id });
  }

  #refuseMaintenance(): void {
    for (const { refuse } of this.#maintenance.splice(0)) refuse(new ClosedError({ what: "storage" }));
  }
}

function asZooidError(error: unknown): ZooidError {
  return error instanceof ZooidError ? error : new InternalError({ reason: error instanceof Error ? error.message : String(error) }, error);
}
