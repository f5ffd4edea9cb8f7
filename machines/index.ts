/** The lifecycles of Zooid, as machines: what can happen, and when. The actors that run them provide their effects. */
import { busMachine } from "./cache/bus.js";
import { cachePruningMachine } from "./cache/cache-pruning.js";
import { cacheVerificationMachine } from "./client/cache-verification.js";
import { commitMachine } from "./client/commit.js";
import { committingMachine } from "./client/committing.js";
import { connectionMachine } from "./client/connection.js";
import { groupCommitMachine } from "./server/group-commit.js";
import { plainBusMachine } from "./cache/plain-bus.js";
import { pruningMachine } from "./server/pruning.js";
import { sessionMachine } from "./server/session.js";
import { supervisionMachine } from "./system/supervision.js";
import { transactionMachine } from "./server/transaction.js";

export * from "./client/cache-verification.js";
export * from "./client/commit.js";
export * from "./client/committing.js";
export * from "./client/connection.js";
export * from "./cache/bus.js";
export * from "./cache/cache-pruning.js";
export * from "./cache/plain-bus.js";
export * from "./server/group-commit.js";
export * from "./server/pruning.js";
export * from "./server/session.js";
export * from "./server/transaction.js";
export * from "./system/supervision.js";

/** Every machine by the name under which it is drawn. */
export const machines = {
  connection: connectionMachine,
  "cache-verification": cacheVerificationMachine,
  committing: committingMachine,
  commit: commitMachine,
  "group-commit": groupCommitMachine,
  transaction: transactionMachine,
  session: sessionMachine,
  pruning: pruningMachine,
  "cache-pruning": cachePruningMachine,
  bus: busMachine,
  "plain-bus": plainBusMachine,
  supervision: supervisionMachine,
} as const;
