/** Messages about committed transactions: broadcasts, and requests of a client that reads the log. */
import { limits, MalformedMessageError, type Tid } from "../../core/index.js";
import { count, digest, flag, id, keys, list, name, position, row, tid } from "./fields.js";
import { message, messageOf, type MessageOf, union, variant } from "./message.js";
import { serverRole } from "./session-messages.js";

/** A transaction's tid is greater than that of its predecessor. */
function follows(link: { readonly previous: Tid; readonly tid: Tid }, what: string): void {
  if (link.tid <= link.previous) throw new MalformedMessageError({ what, reason: "does not follow its predecessor" });
}

/**
 * A transaction's place in the chain. Answer to `commit` and `finish`: the client knows the keys, because it wrote
 * them.
 */
export const committed = messageOf(
  "committed",
  row(
    3,
    (from) => ({
      tid: tid.check(from[0], "committed.tid"),
      previous: tid.check(from[1], "committed.previous"),
      digest: digest.check(from[2], "committed.digest"),
    }),
    (each, into) => {
      into.push(each.tid, each.previous, each.digest);
    },
  ),
  { check: follows },
);
export type Committed = MessageOf<typeof committed>;

const changedKeys = keys(limits.transactionKeysMax);

/** The keys that one committed transaction makes stale. */
export const invalidation = messageOf(
  "invalidation",
  row(
    5,
    (from) => ({
      previous: tid.check(from[0], "invalidation.previous"),
      tid: tid.check(from[1], "invalidation.tid"),
      digest: digest.check(from[2], "invalidation.digest"),
      keyCount: count.check(from[3], "invalidation.keyCount"),
      /** Undefined: too many for one message; read them with `keys`. */
      keys: from[4] === null ? undefined : changedKeys.check(from[4], "invalidation.keys"),
    }),
    (each, into) => {
      into.push(each.previous, each.tid, each.digest, each.keyCount, each.keys ?? null);
    },
  ),
  { check: follows },
);
export type Invalidation = MessageOf<typeof invalidation>;

/** Requests the transactions after `after`, oldest first. */
export const logRequest = message("log", { session: id, after: tid });
export type LogRequest = MessageOf<typeof logRequest>;

export const logPage = message("log page", {
  /** The last of these was the last transaction when the server answered. */
  whole: flag,
  transactions: list(invalidation.nested, limits.replayTransactionsMax),
});
export type LogPage = MessageOf<typeof logPage>;

/** Requests the keys of transaction `tid` from the one with index `from`. */
export const keysRequest = message("keys", { session: id, tid, from: count });
export type KeysRequest = MessageOf<typeof keysRequest>;

/** Some keys of a transaction. An empty list: there are no more. */
export const keysPage = message("keys page", { keys: keys(limits.transactionKeysMax) });

/** Messages on `.invalidations`. */
export const broadcast = union("broadcast", {
  invalidations: variant("i", { instance: name, transactions: list(invalidation.nested, limits.replayTransactionsMax) }),
  heartbeat: variant("h", {
    instance: name,
    startedAt: count,
    /** As in `Registered`. */
    links: count,
    /** Whether it takes no commits now. */
    readOnly: flag,
    role: serverRole,
    position,
  }),
  goodbye: variant("g", { instance: name }),
});
export type Broadcast = MessageOf<typeof broadcast>;

/**
 * Whether `bytes` can be a heartbeat, without decoding: a server that only listens for other writers needs no other
 * messages.
 */
export function mayBeHeartbeat(bytes: Uint8Array): boolean {
  // A short array that begins with the string "h".
  return bytes[0] !== undefined && (bytes[0] & 0xf0) === 0x90 && bytes[1] === 0xa1 && bytes[2] === 0x68;
}
