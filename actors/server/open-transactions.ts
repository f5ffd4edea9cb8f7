import { type Actor, createActor } from "xstate";
import { transactionMachine, type TransactionEvent } from "../../machines/server/transaction.js";
import { type CommitRequest, ServerBusyError, TransactionAbortedError, TransactionTimedOutError } from "../../core/index.js";
import type { FenceAllowance } from "./fence-allowance.js";
import { LockTable } from "./lock-table.js";
import type { StorageParts } from "./parts.js";
import { PendingCommit, type Reply } from "./pending-commit.js";

/** A transaction with an actor: it waits for held objects, or it was voted. */
interface HeldTransaction {
  readonly id: string;
  readonly session: string;
  readonly request: CommitRequest;
  readonly bytes: number;
  /** Time at which the actor was started, on the monotonic clock. */
  readonly sinceMs: number;
  readonly actor: Actor<typeof transactionMachine>;
  /** The session's allowance, in which the fence is counted in advance. Undefined once the transaction is fenced. */
  allowance: FenceAllowance | undefined;
  /** The request to answer next: first the commit or vote that opened the transaction, then its finish. */
  pending: PendingCommit;
  /** The request of the last FINISH event. */
  finish: PendingCommit | undefined;
  holds: boolean;
  /** The transaction that holds the objects it waits for. */
  waitsFor: HeldTransaction | undefined;
  /** The transactions that wait for its objects, in the order of arrival. */
  readonly waiters: Set<HeldTransaction>;
}

/** Parts of the storage that open transactions use. */
export interface OpenTransactionsDeps extends StorageParts {
  readonly closeSession: (session: string) => void;
  /** Allowance of fences of the session with this public id; undefined once the session has ended. */
  readonly fencesOf: (session: string) => FenceAllowance | undefined;
}

/** The transactions of one storage that need more than one message, or that wait: a root actor for each, in a map. */
export class OpenTransactions {
  readonly #deps: OpenTransactionsDeps;
  readonly #open = new Map<string, HeldTransaction>();
  readonly #held = new LockTable<HeldTransaction>();
  readonly #machine: typeof transactionMachine;
  /** Commits that no longer wait for objects and are not queued yet. Commits that one holder frees keep their order. */
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
   * Whether `pending` needs an object that another transaction holds. If so, it waits from now on and is queued again
   * later. Throws ServerBusyError, or TransactionAbortedError when its session has ended.
   */
  mustWait(pending: PendingCommit, request: CommitRequest): boolean {
    if (this.#held.count === 0) return false;
    const holder = this.#held.blockerOf(request);
    if (holder === undefined) return false;
    const transaction = this.#opened(pending, request);
    transaction.waitsFor = holder;
    holder.waiters.add(transaction);
    transaction.actor.send({ type: "HELD_OBJECT_MET" });
    return true;
  }

  /** Opens a transaction whose vote passed validation: it holds its objects from now on. Throws as `mustWait`. */
  voted(pending: PendingCommit, request: CommitRequest): void {
    this.#opened(pending, request).actor.send({ type: "VOTED" });
  }

  has(id: string): boolean {
    return this.#open.has(id);
  }

  /** Queues the finish of `id`; `reply` gets the answer. False: `id` is not voted, or its finish was queued before. */
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

  /** Sends the event `type` of a batch to the transaction of `pending`. */
  notify(pending: PendingCommit, type: (TransactionEvent & { type: "ADDED" | "WRITTEN" | "REFUSED" })["type"]): void {
    this.#open.get(pending.id)?.actor.send({ type });
  }

  /** Ends all actors. No request is answered. */
  stop(): void {
    for (const { actor } of this.#open.values()) actor.stop();
    this.#open.clear();
  }

  #opened(pending: PendingCommit, request: CommitRequest): HeldTransaction {
    const known = this.#open.get(pending.id);
    if (known !== undefined) return known;
    const { clock, storage, options, fencesOf, onFatal } = this.#deps;
    const { transactionsOpenMax: countMax } = options;
    if (this.#open.size >= countMax) throw new ServerBusyError({ what: "open transactions", countMax });
    const { id, session } = pending;
    const allowance = fencesOf(session);
    // The session ended while the request was queued. It had no actor then that could be aborted.
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
    const { log, storage, options, refusedIds, queue, closeSession } = this.#deps;
    const { transactionTimeoutMs: timeoutMs } = options;
    const transactionOf = (context: { readonly id: string }) => this.#open.get(context.id);
    return transactionMachine.provide({
      actions: {
        enqueueAgain: ({ context }) => {
          const transaction = transactionOf(context);
          if (transaction !== undefined) this.#freed.push(transaction.pending);
        },
        hold: ({ context }) => {
          const transaction = transactionOf(context);
          if (transaction === undefined) return;
          transaction.holds = true;
          queue.keep(transaction.bytes);
          this.#held.hold(transaction, transaction.request);
        },
        enqueueFinish: ({ context }) => {
          const transaction = transactionOf(context);
          if (transaction?.finish === undefined) return;
          transaction.pending = transaction.finish;
          queue.enqueueCommit(transaction.pending);
          this.#deps.wake();
        },
        release: ({ context }) => this.#release(transactionOf(context)),
        fence: ({ context: { id } }) => this.#fence(id),
        refuseAborted: ({ context: { id } }) => this.#refuse(id, new TransactionAbortedError({ transaction: id })),
        refuseTimedOut: ({ context: { id } }) => this.#refuse(id, new TransactionTimedOutError({ transaction: id })),
        closeSession: ({ context }) => {
          const session = transactionOf(context)?.session;
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

  /** Prevents a commit of `id`: in this process from now on, durably with the next batch. */
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
    // The fence is queued under this id next. Therefore a copy must no longer join the refused request.
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
