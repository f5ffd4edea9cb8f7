/** Codecs of a client's requests about its session, and of requests that any process may send to a server. */
import { decodeMessage, encodeMessage, limits, MalformedMessageError, ProtocolVersionError } from "../../core/index.js";
import * as shape from "./checks.js";
import { invalidation, invalidationFields, position } from "./fields.js";
import { type Codec, codec } from "./message-codec.js";
import type * as m from "./messages.js";
import { protocolVersion, serverRoles, verdictTypes } from "./messages.js";

export const register: Codec<m.Register> = {
  write: (each) =>
    encodeMessage([each.protocol, each.client, each.readOnly, each.clientSecret, each.sessionSecret, each.oldestSnapshot ?? null]),
  read(bytes) {
    const message = decodeMessage(bytes, "register");
    // The version is the first field in every version of the protocol.
    const version = shape.count(Array.isArray(message) ? message[0] : undefined, "register.protocol");
    if (version !== protocolVersion) throw new ProtocolVersionError({ version, supported: protocolVersion });
    const [, client, readOnly, clientSecret, sessionSecret, oldestSnapshot] = shape.fields(message, "register", 6);
    return {
      protocol: version,
      client: shape.name(client, "register.client"),
      readOnly: shape.flag(readOnly, "register.readOnly"),
      clientSecret: shape.secret(clientSecret, "register.clientSecret"),
      sessionSecret: shape.secret(sessionSecret, "register.sessionSecret"),
      oldestSnapshot: shape.tidOrNone(oldestSnapshot, "register.oldestSnapshot"),
    };
  },
};

export const registered = codec<m.Registered>(
  "registered",
  (each) => [
    each.instance,
    each.links,
    each.readOnly,
    each.position.tid,
    each.position.digest,
    each.heartbeatIntervalMs,
    each.keepAliveIntervalMs,
  ],
  ([instance, links, readOnly, tid, digest, heartbeatIntervalMs, keepAliveIntervalMs]) => ({
    instance: shape.name(instance, "registered.instance"),
    links: shape.count(links, "registered.links"),
    readOnly: shape.flag(readOnly, "registered.readOnly"),
    position: position(tid, digest, "registered.position"),
    heartbeatIntervalMs: shape.interval(heartbeatIntervalMs, "registered.heartbeatIntervalMs"),
    keepAliveIntervalMs: shape.interval(keepAliveIntervalMs, "registered.keepAliveIntervalMs"),
  }),
  7,
);

export const verify = codec<m.Verify>(
  "verify",
  (each) => [each.session, each.position.tid, each.position.digest, each.asOf.tid, each.asOf.digest],
  ([session, tid, digest, asOfTid, asOfDigest]) => ({
    session: shape.id(session, "verify.session"),
    position: position(tid, digest, "verify.position"),
    asOf: position(asOfTid, asOfDigest, "verify.asOf"),
  }),
  5,
);

export const verdict = codec<m.Verdict>(
  "verdict",
  (each) => [each.type, each.position.tid, each.position.digest],
  ([type, tid, digest]) => ({
    type: shape.oneOf(type, "verdict.type", verdictTypes),
    position: position(tid, digest, "verdict.position"),
  }),
  3,
);

export const logRequest = codec<m.LogRequest>(
  "log",
  (each) => [each.session, each.after],
  ([session, after]) => ({ session: shape.id(session, "log.session"), after: shape.tid(after, "log.after") }),
  2,
);

export const logPage = codec<m.LogPage>(
  "log page",
  (each) => [each.whole, each.transactions.map(invalidationFields)],
  ([whole, transactions]) => ({
    whole: shape.flag(whole, "log page.whole"),
    transactions: shape.list(transactions, "log page.transactions", limits.replayTransactionsMax).map(invalidation),
  }),
  2,
);

export const keysRequest = codec<m.KeysRequest>(
  "keys",
  (each) => [each.session, each.tid, each.from],
  ([session, tid, from]) => ({
    session: shape.id(session, "keys.session"),
    tid: shape.tid(tid, "keys.tid"),
    from: shape.count(from, "keys.from"),
  }),
  3,
);

export const keysPage = codec<m.KeysPage>(
  "keys page",
  (each) => [each.keys],
  ([keys]) => ({ keys: shape.keys(keys, "keys page.keys", limits.transactionKeysMax) }),
  1,
);

export const alive = codec<m.Alive>(
  "alive",
  (each) => [each.session, each.oldestSnapshot ?? null],
  ([session, oldestSnapshot]) => ({
    session: shape.id(session, "alive.session"),
    oldestSnapshot: shape.tidOrNone(oldestSnapshot, "alive.oldestSnapshot"),
  }),
  2,
);

export const aliveAnswer = codec<m.AliveAnswer>(
  "alive answer",
  (each) => [each.position.tid, each.position.digest],
  ([tid, digest]) => ({ position: position(tid, digest, "alive answer.position") }),
  2,
);

/** Requests `bye` and `status`: a session alone. `status` is also answered without a session (an empty string). */
export const session = codec<{ readonly session: string }>(
  "session",
  (each) => [each.session],
  ([each]) => ({ session: each === "" ? "" : shape.id(each, "session") }),
  1,
);

export const challenge = codec<m.Challenge>(
  "challenge",
  (each) => [each.nonce],
  ([nonce]) => ({ nonce: shape.id(nonce, "challenge.nonce") }),
  1,
);

export const writer = codec<m.Writer>(
  "writer",
  (each) => [each.instance, each.startedAt, each.role, each.position.tid, each.position.digest, each.proof],
  ([instance, startedAt, role, tid, digest, proof]) => ({
    instance: shape.name(instance, "writer.instance"),
    startedAt: shape.count(startedAt, "writer.startedAt"),
    role: shape.oneOf(role, "writer.role", serverRoles),
    position: position(tid, digest, "writer.position"),
    proof: shape.id(proof, "writer.proof"),
  }),
  6,
);

export const storages = codec<m.Storages>(
  "storages",
  (each) => [each.realm, each.storages],
  ([realm, served]) => ({
    realm: shape.name(realm, "storages.realm"),
    storages: shape.list(served, "storages", 1_000).map((name) => shape.name(name, "storages")),
  }),
  2,
);

/** The status of a server is for people. Its fields are not checked; the size of a message bounds it. */
export const serverStatus = codec<m.ServerStatus>(
  "status",
  (each) => [each],
  ([each]) => {
    if (typeof each !== "object" || each === null) throw new MalformedMessageError({ what: "status", reason: "is not an object" });
    return each as m.ServerStatus;
  },
  1,
);
