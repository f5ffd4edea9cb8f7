/** Messages about a client's session, and requests that any process may send to a server. */
import { decodeMessage, encodeMessage, ProtocolVersionError } from "../../core/index.js";
import { count, flag, id, interval, list, name, oneOf, optional, position, secret, tid } from "./fields.js";
import { type Encoding, message, type MessageOf, type ValueOf } from "./message.js";

/** Raised whenever the shape or meaning of a message changes. A test pins the shapes to it. */
export const protocolVersion = 1;

/** The version of the protocol is the first field in every version, so that it is read before fields are counted. */
const versioned: Encoding = {
  encode: encodeMessage,
  decode(bytes, what) {
    const message = decodeMessage(bytes, what);
    const version = count.check(Array.isArray(message) ? message[0] : undefined, `${what}.protocol`);
    if (version !== protocolVersion) throw new ProtocolVersionError({ version, supported: protocolVersion });
    return message;
  },
};

export const register = message(
  "register",
  {
    protocol: count,
    /** The client's name: unique in the realm, chosen by the application, for people and for actor addresses. */
    client: name,
    readOnly: flag,
    clientSecret: secret,
    sessionSecret: secret,
    /**
     * Oldest snapshot of the client's open transactions. From the start of the session, the server keeps the history
     * that this snapshot needs.
     */
    oldestSnapshot: optional(tid),
  },
  { encoding: versioned },
);
export type Register = MessageOf<typeof register>;

export const registered = message("registered", {
  instance: name,
  /** How often the server has connected to its broker. Requests sent to it before the last connection may be lost. */
  links: count,
  /** The server takes no writes, or this client asked for read-only access. */
  readOnly: flag,
  position,
  heartbeatIntervalMs: interval,
  keepAliveIntervalMs: interval,
});
export type Registered = MessageOf<typeof registered>;

/** `session`, here and in each request below: the secret with which the session was registered. */
export const verify = message("verify", {
  session: id,
  /** Last tid whose invalidation the client has applied, with its digest. */
  position,
  /** Greatest as-of in its cache, at least `position`: loads may know more than the last tid. */
  asOf: position,
});
export type Verify = MessageOf<typeof verify>;

/**
 * `upToDate`: the client's position is the server's. `replay`: the log goes back far enough. `discard`: as far as is
 * known the same history, but too old to be replayed. `otherHistory`: the server has passed that tid without it, or has
 * it with another digest. `lost`: the server writes and has not reached that tid, so it has lost transactions that the
 * client has seen. `behind`: the server is read-only, and may still reach that tid. `position` is the server's, durable
 * when it answered.
 */
export const verdict = message("verdict", {
  type: oneOf("upToDate", "replay", "discard", "otherHistory", "lost", "behind"),
  position,
});
export type Verdict = MessageOf<typeof verdict>;

export const alive = message("alive", {
  session: id,
  /** Oldest snapshot of the client's open transactions; undefined: none is open. */
  oldestSnapshot: optional(tid),
});

/**
 * The server's durable position. A client that has applied up to it reads nothing older than this request (serverSync).
 */
export const aliveAnswer = message("alive answer", { position });

/** Requests `bye` and `status`. */
export const session = message("session", {
  /** Empty: a process without a session asks for the status. */
  session: { ...id, read: (from, at, what) => (from[at] === "" ? "" : id.read(from, at, what)) },
});

/**
 * The role of a server process for its storage. `takeover`: a writer that was started although another one might be
 * left; the other one gives way to it. A writer whose disk fails takes no commits for a while, but is still a writer.
 */
export const serverRole = oneOf("reader", "writer", "takeover");
export type ServerRole = ValueOf<typeof serverRole>;

/** Asks a server to prove that it writes a storage. */
export const challenge = message("challenge", {
  /** New for each question, so that an earlier answer is not accepted. */
  nonce: id,
});

/** Answer to `writer`. */
export const writer = message("writer", {
  instance: name,
  startedAt: count,
  role: serverRole,
  position,
  /** A hash of the nonce and of all other facts in the answer. */
  proof: id,
});
export type Writer = MessageOf<typeof writer>;

/** Answer to `zooid.<realm>.storages` and to `zooid.servers`. */
export const storages = message("storages", { realm: name, storages: list(name, 1_000) });
export type Storages = MessageOf<typeof storages>;
