import type { CommitRequest, LoggedTransaction, Outcome } from "./transaction.js";

/** Transactions that become durable together. */
export class CommitBatch {
  declare readonly transactions: readonly LoggedTransaction[];
  declare readonly bytes: number;
  declare readonly isEmpty: boolean;
  declare validate: (request: CommitRequest) => void;
  declare add: (request: CommitRequest, nowMs: number) => LoggedTransaction;
  declare fence: (id: string) => void;
  declare outcome: (id: string) => Outcome | undefined;
  declare write: (options: { readonly alone: boolean }) => Promise<void>;
  declare discard: () => void;
}
