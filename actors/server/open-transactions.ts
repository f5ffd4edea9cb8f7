import { type Actor, createActor } from "xstate";
import { transactionMachine, type TransactionEvent } from "../../machines/server/transaction.js";
import type { CommitRequest } from "../../core/transaction.js";
import { type Clock, type Log, ServerBusyError, TransactionAbortedError, TransactionTimedOutError } from "../../core/index.js";
import type { CommitQueue } from "./commit-queue.js";
import type { FenceAllowance } from "./fence-allowance.js";
import { LockTable } from "./lock-table.js";
import { PendingCommit, type Reply } from "./pending-commit.js";
import type { RefusedIds } from "./refused-ids.js";

/** A transaction with an actor: it waits for held objects, or was voted. */
interface HeldTransaction {
  readonly id: string;
  readonly session: string;
  readonly request: CommitRequest;
  readonly bytes: number;
  /** Time on the monotonic clock. */
  readonly sinceMs: number;
  readonly actor: Actor<typeof transactionMachine>;
  /** The fence that it may need is counted in advance: it can be aborted at any time. Undefined once it is fenced. */
  allowance: FenceAllowance | undefined;
  /** The request that is answered next: the commit or vote that it came with, then its finish. */
  pending: PendingCommit;
  /** The request that came with the last FINISH. */
  finish: PendingCommit | undefined;
  holds: boolean;
  /** The transaction whose objects it waits for. */
  waitsFor: HeldTransaction | undefined;
  /** The transactions that wait for its objects, in the order in which they came. */
  readonly waiters: Set<HeldTransaction>;
}

/** What open transactions need of the storage. */
export interface OpenTransactionsDeps {
  readonly storage: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly queue: CommitQueue;
  readonly refusedIds: RefusedIds;
  readonly timeoutMs: number;
  readonly countMax: number;
  /** To be called after a commit was queued. */
  readonly wake: () => void;
  readonly closeSession: (session: string) => void;
  /** Number of fences that the session with this public id may still cause; undefined once it has ended. */
  readonly fencesOf: (session: string) => FenceAllowance | undefined;
  /** A bug ended a transaction's actor. The objects that it held are in no known state. */
  readonly onFatal: (error: unknown) => void;
}

/** The transactions of one storage that live longer than a message: a root actor for each, in a map. */
export class OpenTransactions {
  readonly #deps: OpenTransactionsDeps;
  readonly #open = new Map<string, HeldTransaction>();
  readonly #held = new LockTable<HeldTransaction>();
  readonly #machine: typeof transactionMachine;
  /** Commits that were freed and are not queued yet. Commits that one holder frees together keep their order. */
  #freed: PendingCommit[] = [];

  constructor(deps: OpenTransactionsDeps) {
    this.#deps = deps;
    this.#machine = this.#provided();
  }

  get count(): number {
    return this.#open.size;
  }

  /** The first `countMax` open transactions, for status displays. */
  describe(
    countMax: number,
  ): readonly { readonly id: string; readonly session: string; readonly state: string; readonly sinceMs: number }[] {
    return [...this.#open.values()].slice(0, countMax).map(({ id, session, actor, sinceMs }) => {
      const { value } = actor.getSnapshot();
      return { id, session, state: typeof value === "string" ? value : value.arriving, sinceMs };
    });
  }

  /**
   * Whether `pending` meets a held object. If so, it waits from now on, and is queued again later. Throws
   * ServerBusyError, and TransactionAbortedError when its session has ended.
   */
  mustWait(pending: PendingCommit, request: CommitRequest): boolean {
    if (this.#held.count === 0) return false;
    const holder = this.#held.met(request);
    if (holder === undefined) return false;
    const transaction = this.#opened(pending, request);
    transaction.waitsFor = holder;
    holder.waiters.add(transaction);
    transaction.actor.send({ type: "HELD_OBJECT_MET" });
    return true;
  }

  /** A vote passed validation: it holds its objects from now on. Throws as `mustWait` does. */
  voted(pending: PendingCommit, request: CommitRequest): void {
    this.#opened(pending, request).actor.send({ type: "VOTED" });
  }

  has(id: string): boolean {
    return this.#open.has(id);
  }

  /** Queues the finish of `id`; `reply` gets its answer. False: `id` is not voted, or its finish was queued before. */
  finish(id: string, reply: Reply): boolean {
    const transaction = this.#open.get(id);
    if (transaction === undefined) return false;
    const finish = new PendingCommit("finish", id, transaction.session, transaction.request, 0, reply);
    finish.isOpen = true;
    transaction.finish = finish;
    transaction.actor.send({ type: "FINISH" });
    return transaction.pending === finish;
  }

  /** Aborts and fences `id`, unless it is being written. */
  abort(id: string): void {
    this.#open.get(id)?.actor.send({ type: "ABORT" });
  }

  abortAllOf(session: string): void {
    const all = [...this.#open.values()].filter((transaction) => transaction.session === session);
    for (const { actor } of all) actor.send({ type: "SESSION_GONE" });
  }

  /** Sends the transaction of `pending` how a batch ended for it. */
  tell(pending: PendingCommit, type: (TransactionEvent & { type: "ADDED" | "WRITTEN" | "REFUSED" })["type"]): void {
    this.#open.get(pending.id)?.actor.send({ type });
  }

  /** Ends all actors; no transaction is answered. */
  stop(): void {
    for (const { actor } of this.#open.values()) actor.stop();
    this.#open.clear();
  }

  #opened(pending: PendingCommit, request: CommitRequest): HeldTransaction {
    const known = this.#open.get(pending.id);
    if (known !== undefined) return known;
    const { clock, storage, countMax, fencesOf, onFatal } = this.#deps;
    if (this.#open.size >= countMax) throw new ServerBusyError({ what: "open transactions", countMax });
    const { id, session } = pending;
    const allowance = fencesOf(session);
    // Its session ended while it was queued: with an actor, it would have been aborted then.
    if (allowance === undefined) throw new TransactionAbortedError({ transaction: id });
    allowance.spend();
    const actor = createActor(this.#machine, { id: `server/${storage}/transaction/${id}`, clock, input: { id } });
    const transaction: HeldTransaction = {
      id,
      session,
      request,
      bytes: pending.bytes,
      sinceMs: clock.monotonic(),
      actor,
      allowance,
      pending,
      finish: undefined,
      holds: false,
      waitsFor: undefined,
      waiters: new Set(),
    };
    pending.isOpen = true;
    this.#open.set(id, transaction);
    actor.subscribe({ error: onFatal });
    actor.start();
    return transaction;
  }

  #provided(): typeof transactionMachine {
    const { log, storage, timeoutMs, refusedIds, queue, closeSession } = this.#deps;
    const the = (context: { readonly id: string }) => this.#open.get(context.id);
    return transactionMachine.provide({
      actions: {
        enqueueAgain: ({ context }) => {
          const transaction = the(context);
          if (transaction !== undefined) this.#freed.push(transaction.pending);
        },
        hold: ({ context }) => {
          const transaction = the(context);
          if (transaction === undefined) return;
          transaction.holds = true;
          queue.keep(transaction.bytes);
          this.#held.hold(transaction, transaction.request);
        },
        enqueueFinish: ({ context }) => {
          const transaction = the(context);
          if (transaction?.finish === undefined) return;
          transaction.pending = transaction.finish;
          queue.enqueueCommit(transaction.pending);
          this.#deps.wake();
        },
        release: ({ context }) => this.#release(the(context)),
        fence: ({ context: { id } }) => this.#fence(id),
        refuseAborted: ({ context: { id } }) => this.#refuse(id, new TransactionAbortedError({ transaction: id })),
        refuseTimedOut: ({ context: { id } }) => this.#refuse(id, new TransactionTimedOutError({ transaction: id })),
        closeSession: ({ context }) => {
          const session = the(context)?.session;
          if (session !== undefined) closeSession(session);
        },
        logTimedOut: ({ context: { id } }) => {
          refusedIds.refuse(id, "timedOut");
          log.warn({ storage, transaction: id, timeoutMs }, "a transaction timed out");
        },
        logUnexpected: ({ context: { id }, event }) => log.warn({ storage, transaction: id, event: event.type }, "an unexpected event"),
      },
      delays: { transactionTimeout: timeoutMs },
    });
  }

  /** Keeps `id` from ever committing: at this server from now on, durably with the next batch. */
  #fence(id: string): void {
    const { refusedIds, queue, wake } = this.#deps;
    refusedIds.refuse(id, "aborted");
    if (queue.inAir(id) !== undefined) return;
    const transaction = this.#open.get(id);
    if (transaction !== undefined) transaction.allowance = undefined;
    queue.enqueueCommit(new PendingCommit("fence", id));
    wake();
  }

  #refuse(id: string, error: TransactionAbortedError | TransactionTimedOutError): void {
    const pending = this.#open.get(id)?.pending;
    if (pending === undefined) return;
    // From now on the fence is in the queue under this id: no copy may join the refused request.
    this.#deps.refusedIds.refuse(id, error instanceof TransactionTimedOutError ? "timedOut" : "aborted");
    this.#deps.queue.land(pending);
    pending.refused(error);
  }

  #release(transaction: HeldTransaction | undefined): void {
    if (transaction === undefined) return;
    this.#open.delete(transaction.id);
    transaction.allowance?.giveBack();
    transaction.waitsFor?.waiters.delete(transaction);
    if (transaction.holds) {
      this.#held.release(transaction, transaction.request);
      this.#deps.queue.release(transaction.bytes);
    }
    for (const waiter of transaction.waiters) {
      waiter.waitsFor = undefined;
      waiter.actor.send({ type: "OBJECTS_FREED" });
    }
    if (this.#freed.length === 0) return;
    const freed = this.#freed;
    this.#freed = [];
    this.#deps.queue.addFirst(freed);
    this.#deps.wake();
  }
}
