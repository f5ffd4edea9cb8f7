/** The lifecycles of Zooid: what can happen, and when. Machines only; what they do is provided where they run. */
import { cacheVerificationMachine } from "./cache-verification.js";
import { commitMachine } from "./commit.js";
import { connectionMachine } from "./connection.js";
import { flightMachine } from "./flight.js";
import { groupCommitMachine } from "./group-commit.js";
import { pruningMachine } from "./pruning.js";
import { sessionMachine } from "./session.js";
import { transactionMachine } from "./transaction.js";

export * from "./cache-verification.js";
export * from "./commit.js";
export * from "./connection.js";
export * from "./flight.js";
export * from "./group-commit.js";
export * from "./pruning.js";
export * from "./session.js";
export * from "./transaction.js";

/** Every machine by its name, as it is drawn and addressed. */
export const machines = {
  connection: connectionMachine,
  "cache-verification": cacheVerificationMachine,
  commit: commitMachine,
  "group-commit": groupCommitMachine,
  transaction: transactionMachine,
  session: sessionMachine,
  pruning: pruningMachine,
  flight: flightMachine,
} as const;
