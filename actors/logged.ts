import type { LoggedTransaction, ObjectStore } from "../storage/object-store.js";
import { asTid, type Tid } from "../words/index.js";

/** The transaction with this tid, as the log tells it; undefined when it was pruned. */
export function loggedAt(store: ObjectStore, tid: Tid): LoggedTransaction | undefined {
  const [found] = store.transactionsAfter(asTid(tid - 1), 1, 1).transactions;
  return found?.tid === tid ? found : undefined;
}
