import type { ObjectStore } from "../../storage/objects/object-store.js";
import {
  type Log,
  MalformedMessageError,
  OutcomeUnknownError,
  type Tid,
  TransactionAbortedError,
  type ZooidError,
} from "../../core/index.js";
import type { CommitQueue } from "./commit-queue.js";
import type { Commit, Committed } from "../protocol/messages.js";
import type { OpenTransactions } from "./open-transactions.js";
import type { FenceAllowance } from "./fence-allowance.js";
import { PendingCommit, type Reply } from "./pending-commit.js";
import type { RefusedIds } from "./refused-ids.js";
import * as wire from "../protocol/codec.js";

export interface CommitRequestsDeps {
  readonly store: ObjectStore;
  readonly queue: CommitQueue;
  readonly transactions: OpenTransactions;
  readonly refusedIds: RefusedIds;
  /** Something was put in the queue. */
  readonly wake: () => void;
  readonly log: Log;
}

/**
 * Takes commits, votes and their ends in. An id is looked for before anything is validated: a copy is answered as its
 * original, in the queue, in the batch being written, and in the log. Past copiesAnsweredMax copies are dropped without an
 * answer: any error would tell that the original never commits.
 * Source: DESIGN promise 8; INTERLEAVINGS A4.
 */
export class CommitRequests {
  readonly #deps: CommitRequestsDeps;

  constructor(deps: CommitRequestsDeps) {
    this.#deps = deps;
  }

  /** `session`: public id of the sender's. Throws what is known at once; else `reply` is called when it is durable. */
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
      // The copy of a vote learns only that it passed; its finish tells the rest.
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

  finish(id: string, reply: Reply): void {
    const { queue, transactions, refusedIds } = this.#deps;
    if (transactions.isVoted(id)) {
      transactions.finish(id, reply);
      return;
    }
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
    // Votes do not outlive their server or session: what was not voted here will not be.
    refusedIds.refuse(id, "aborted");
    throw new TransactionAbortedError({ transaction: id });
  }

  abort(id: string, reply: Reply | undefined): void {
    const { queue, transactions, refusedIds, store } = this.#deps;
    const original = queue.inAir(id);
    if (original?.kind === "finish" || original?.kind === "commit" || store.outcome(id)?.type === "committed") {
      throw new MalformedMessageError({ what: "abort", reason: `is of ${id}, which commits` });
    }
    if (transactions.has(id)) {
      transactions.abort(id);
    } else if (original?.kind === "vote") {
      // The abort came before the vote was looked at.
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

  /** Answers once it is known for ever: committed, or fenced, as far as `fences` allows. Throws OutcomeUnknownError, ServerBusyError. */
  settle(id: string, snapshot: Tid, fences: FenceAllowance, reply: Reply): void {
    const { store, queue, transactions } = this.#deps;
    // Who asks has given up on it: one that only waits, or was voted and not finished, never commits.
    if (transactions.has(id)) transactions.abort(id);
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

  /** After what was in the air has ended; `error` is why its fence could not be written. */
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

  /** Whether a copy waits for its answer; one that does not is dropped. */
  #waits(waits: boolean, operation: string, id: string): boolean {
    if (!waits) this.#deps.log.debug({ operation, transaction: id }, "a copy of a request was dropped");
    return waits;
  }

  /** Committed before, as the log has it. Throws what a refused or fenced id is answered. */
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
  return new MalformedMessageError({ what: "transaction", reason: `${id} is that of another` });
}
