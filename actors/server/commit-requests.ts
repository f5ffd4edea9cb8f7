import { MalformedMessageError, OutcomeUnknownError, type Tid, TransactionAbortedError, type ZooidError } from "../../core/index.js";
import type { Commit, Committed } from "../protocol/messages.js";
import type { OpenTransactions } from "./open-transactions.js";
import type { FenceAllowance } from "./fence-allowance.js";
import { PendingCommit, type Reply } from "./pending-commit.js";
import type { StorageParts } from "./parts.js";
import * as wire from "../protocol/codec.js";

/** Parts of the storage that commit requests use. */
export interface CommitRequestsDeps extends StorageParts {
  readonly transactions: OpenTransactions;
}

/**
 * Handles commits, votes, finishes, aborts and questions about outcomes. It looks up the id before anything is
 * validated: a copy gets the answer of its original, which is in the queue, in the batch being written, or in the log.
 * Copies above copiesAnsweredMax get no answer: an error would mean that the original never commits.
 * Source: DESIGN promise 8; INTERLEAVINGS A4.
 */
export class CommitRequests {
  readonly #deps: CommitRequestsDeps;

  constructor(deps: CommitRequestsDeps) {
    this.#deps = deps;
  }

  /** `session`: public id of the sender's session. Throws when the error is known at once; else calls `reply`. */
  arrive(kind: "commit" | "vote", commit: Commit, session: string, bytes: number, reply: Reply): void {
    const { queue, transactions, refusedIds, wake } = this.#deps;
    const { id } = commit;
    const original = queue.inAir(id);
    if (original !== undefined) {
      this.#join(kind, original, reply);
      return;
    }
    if (transactions.has(id)) {
      if (kind !== "vote") throw anotherKind(id);
      reply(wire.writeAnswer(wire.nothing, {}));
      return;
    }
    const known = this.#known(id);
    if (known !== undefined) {
      // The transaction is committed, so its vote passed. Its tid is in the answer to the finish.
      reply(kind === "vote" ? wire.writeAnswer(wire.nothing, {}) : wire.writeAnswer(wire.committed, known));
      return;
    }
    try {
      queue.checkRoom(bytes);
    } catch (error) {
      refusedIds.refuse(id, "aborted");
      throw error;
    }
    queue.enqueueCommit(new PendingCommit(kind, id, session, commit, bytes, reply));
    wake();
  }

  /** Commits the voted transaction `id`. Throws TransactionAbortedError, MalformedMessageError, OutcomeUnknownError. */
  finish(id: string, reply: Reply): void {
    const { queue, transactions, refusedIds } = this.#deps;
    if (transactions.finish(id, reply)) return;
    const original = queue.inAir(id);
    if (original?.kind === "finish") {
      this.#waits(original.join(reply), "finish", id);
      return;
    }
    if (original !== undefined && original.kind !== "fence") throw anotherKind(id);
    const known = this.#known(id);
    if (known !== undefined) {
      reply(wire.writeAnswer(wire.committed, known));
      return;
    }
    // A vote does not outlive its server or its session: this transaction never commits.
    refusedIds.refuse(id, "aborted");
    throw new TransactionAbortedError({ transaction: id });
  }

  /** Aborts a transaction. Throws MalformedMessageError when it has begun to commit. */
  abort(id: string, reply: Reply | undefined): void {
    const { queue, transactions, refusedIds, store } = this.#deps;
    const original = queue.inAir(id);
    if (original?.kind === "finish" || original?.kind === "commit" || store.outcome(id)?.type === "committed") {
      throw new MalformedMessageError({ what: "abort", reason: `the transaction ${id} is committing or committed` });
    }
    if (transactions.has(id)) {
      transactions.abort(id);
    } else if (original?.kind === "vote") {
      // The vote is still in the queue: abort its transaction after the vote.
      if (
        !this.#waits(
          original.afterwards(() => transactions.abort(id)),
          "abort",
          id,
        )
      )
        return;
    } else {
      refusedIds.refuse(id, "aborted");
    }
    reply?.(wire.writeAnswer(wire.nothing, {}));
  }

  /**
   * Answers once the outcome is final: committed or fenced. Throws OutcomeUnknownError, or ServerBusyError when
   * `fences` allows no further fence.
   */
  settle(id: string, snapshot: Tid, fences: FenceAllowance, reply: Reply): void {
    const { store, queue, transactions } = this.#deps;
    // The client no longer waits for its answer: a transaction that waits, or that was voted and not finished, aborts.
    transactions.abort(id);
    const original = queue.inAir(id);
    if (original !== undefined) {
      const settleAgain = (error: ZooidError | undefined) =>
        this.#settleAgain(id, snapshot, fences, reply, original.kind === "fence" ? error : undefined);
      this.#waits(original.afterwards(settleAgain), "settle", id);
      return;
    }
    const outcome = store.outcome(id);
    if (outcome?.type === "committed") {
      const committed = store.headAt(outcome.tid);
      if (committed === undefined) throw new OutcomeUnknownError({ transaction: id });
      reply(wire.writeAnswer(wire.settled, { committed }));
    } else if (outcome?.type === "fenced") {
      reply(wire.writeAnswer(wire.settled, { committed: undefined }));
    } else if (snapshot < store.idFloor) {
      throw new OutcomeUnknownError({ transaction: id });
    } else {
      queue.checkRoom(0);
      fences.spend();
      const fence = new PendingCommit("fence", id);
      fence.afterwards((error) => this.#settleAgain(id, snapshot, fences, reply, error));
      queue.enqueueCommit(fence);
      this.#deps.wake();
    }
  }

  /** Continues `settle` after the request with this id has ended. `error`: the reason why its fence was not written. */
  #settleAgain(id: string, snapshot: Tid, fences: FenceAllowance, reply: Reply, error: ZooidError | undefined): void {
    try {
      if (error !== undefined) throw error;
      this.settle(id, snapshot, fences, reply);
    } catch (reason) {
      reply(wire.writeError(reason));
    }
  }

  #join(kind: "commit" | "vote", original: PendingCommit, reply: Reply): void {
    if (original.kind === kind) this.#waits(original.join(reply), kind, original.id);
    else if (original.kind === "finish" && kind === "vote") reply(wire.writeAnswer(wire.nothing, {}));
    else if (original.kind === "fence") throw new TransactionAbortedError({ transaction: original.id });
    else throw anotherKind(original.id);
  }

  /** Returns `waits`: whether a copy waits for the answer of its original. If not, logs that the copy was dropped. */
  #waits(waits: boolean, operation: string, id: string): boolean {
    if (!waits) this.#deps.log.debug({ operation, transaction: id }, "a copy of a request was dropped");
    return waits;
  }

  /** Head of `id` in the log; undefined if `id` is not committed. Throws the error of a refused or fenced id. */
  #known(id: string): Committed | undefined {
    const { store, refusedIds } = this.#deps;
    const refused = refusedIds.get(id);
    if (refused !== undefined) throw refused;
    const outcome = store.outcome(id);
    if (outcome === undefined) return undefined;
    if (outcome.type === "fenced") throw new TransactionAbortedError({ transaction: id });
    const logged = store.headAt(outcome.tid);
    if (logged === undefined) throw new OutcomeUnknownError({ transaction: id });
    return logged;
  }
}

function anotherKind(id: string): MalformedMessageError {
  return new MalformedMessageError({ what: "transaction", reason: `a request of another kind has the id ${id}` });
}
