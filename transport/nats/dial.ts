import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { type ConnectionOptions, parseOptions, ProtocolHandler, setTransportFactory } from "nats";
import { NodeTransport, nodeResolveHost } from "nats/lib/node_transport.js";
import { asDuration, atLeastOneMs, DisconnectedError, type Duration, limits } from "../../core/index.js";
import { abortable } from "../../core/abortable.js";
import { isLasting } from "../redial.js";
import { hostAndPort, type NatsAddress, portDefault } from "./address.js";
import { refusalOf } from "./refusal.js";

/**
 * TLS of a link to NATS. Files are read again at each dial, so that certificates can be renewed under a running
 * service.
 */
export interface NatsTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  /** Name that the server's certificate must have, if it is not the name in the address. */
  readonly serverName?: string;
  /** Whether the server expects TLS from the first byte (`handshake_first`). */
  readonly handshakeFirst?: boolean;
}

/**
 * The credentials for a NATS server, and how soon the server counts as gone: after `pingsUnansweredMax` pings without
 * an answer. A user in an address takes precedence over the one here.
 */
export interface NatsDialOptions {
  /** Name of this link at the broker, for people. */
  readonly name?: string;
  /** Name of a user of the broker. */
  readonly user?: string;
  /** Password of that user. */
  readonly password?: string;
  /** Token for the broker, instead of a user. */
  readonly token?: string;
  /**
   * TLS of the link to the broker: the authority that signs its certificate (`ca`, `caFile`), and a certificate of this
   * process with its key (`cert`, `key`, `certFile`, `keyFile`). Files are read each time the process dials.
   */
  readonly tls?: NatsTls;
  readonly pingIntervalMs?: Duration;
  readonly pingsUnansweredMax?: number;
  readonly dialTimeoutMs?: Duration;
  /** Finds the addresses of a host name. Default: the system's resolver. */
  readonly resolve?: (host: string) => Promise<readonly string[]>;
}

/** One connection to one server, until it is lost. It never dials again by itself. */
export interface NatsLink {
  readonly protocol: ProtocolHandler;
  /** The reached address, `host:port`. */
  readonly address: string;
}

/**
 * Dials the IP addresses of `address`, each in the resolver's order, until one is reached. Rejects with
 * NotAuthorizedError, CertificateError or DisconnectedError.
 *
 * This drives the protocol handler of nats.js, which its `connect` wraps, and leaves reconnecting to this project.
 * `connect` cannot be cancelled, leaves a socket open for ever to a server that accepts and sends nothing, forgets the
 * addresses that did not answer at first, drops messages that are published meanwhile, and never gives up a dead link
 * whose send buffer is full. Servers that a cluster gossips about are not used: they may not be reachable from here,
 * and no configuration vouches for their names.
 */
export async function dialNats(address: NatsAddress, options: NatsDialOptions, signal: AbortSignal): Promise<NatsLink> {
  let reason: unknown;
  try {
    const hosts = isIP(address.host) !== 0 ? [address.host] : await (options.resolve ?? resolveHost)(address.host);
    for (const host of hosts) {
      try {
        return await dialOne(host, address, options, signal);
      } catch (error) {
        if (signal.aborted) throw error;
        // Among several addresses, a refusal explains more than an unreachable address.
        if (!isLasting(reason)) reason = error;
      }
    }
  } catch (error) {
    reason = error;
  }
  throw isLasting(reason) ? reason : unreached(reason, address);
}

async function dialOne(host: string, address: NatsAddress, options: NatsDialOptions, signal: AbortSignal): Promise<NatsLink> {
  signal.throwIfAborted();
  setTransportFactory({ factory: () => new VerifyingTransport(host), dnsResolveFn: nodeResolveHost });
  const protocol = new ProtocolHandler(parseOptions(connectionOptions(host, address, options)), {
    publish: (subject, payload, publishOptions) => protocol.publish(subject, payload, publishOptions),
  });
  const server = protocol.servers.getCurrentServer();
  if (isIP(address.host) === 0) server.tlsName = address.host;
  protocol.server = server;
  try {
    await abortable(protocol.dial(server), signal);
    return { protocol, address: hostAndPort(host, address.port) };
  } catch (error) {
    protocol.raceTimer?.cancel();
    const asksForCertificate = protocol.info?.tls_verify === true;
    abandon(protocol);
    throw refusalOf(error, { address: address.text, asksForCertificate, ...shownBy(address, options) }) ?? error;
  }
}

function unreached(error: unknown, { text, port }: NatsAddress): DisconnectedError {
  const reason = textOf(error);
  const remedy = reason === "connection refused" ? `no broker is there: start one with: nats-server --jetstream${flagOf(port)}` : undefined;
  return new DisconnectedError({ address: text, reason, missing: "broker", remedy }, error);
}

const flagOf = (port: number): string => (port === portDefault ? "" : ` --port ${port}`);

function shownBy({ user, token }: NatsAddress, options: NatsDialOptions) {
  return {
    hasCredentials: [user, token, options.user, options.token].some((each) => each !== undefined),
    hasCertificate: (options.tls?.cert ?? options.tls?.certFile) !== undefined,
  };
}

/**
 * Checks the certificate of a server that was reached by an IP address against that address. Without a host, Node
 * checks for "localhost".
 */
class VerifyingTransport extends NodeTransport {
  readonly #host: string;

  constructor(host: string) {
    super();
    this.#host = host;
  }

  override startTLS(): ReturnType<NodeTransport["startTLS"]> {
    // Passed to Node's TLS, which prefers the name of the address or `tls.serverName`, if there is one.
    this.options = { ...this.options, tls: Object.assign({ host: this.#host }, this.options.tls) };
    return super.startTLS();
  }
}

/** Closes a connection without a message to the server. Its socket is closed when this returns, in any state. */
export function abandon(protocol: ProtocolHandler): void {
  protocol.heartbeats.cancel();
  protocol.transport.discard();
  protocol.resetOutbound();
  void protocol.close();
}

function connectionOptions(host: string, address: NatsAddress, options: NatsDialOptions): ConnectionOptions {
  const user = address.user ?? options.user;
  const password = address.user === undefined ? options.password : address.password;
  const token = address.token ?? options.token;
  return {
    servers: [hostAndPort(host, address.port)],
    noRandomize: true,
    reconnect: false,
    ignoreClusterUpdates: true,
    noAsyncTraces: true,
    timeout: timerMs(options.dialTimeoutMs ?? limits.dialTimeoutMs, "dialTimeoutMs"),
    pingInterval: timerMs(options.pingIntervalMs ?? limits.pingIntervalMs, "pingIntervalMs"),
    maxPingOut: options.pingsUnansweredMax ?? limits.pingsUnansweredMax,
    ...(options.name === undefined ? {} : { name: options.name }),
    ...(user === undefined ? {} : { user, ...(password === undefined ? {} : { pass: password }) }),
    ...(token === undefined ? {} : { token }),
    ...(options.tls === undefined && !address.tls ? {} : { tls: tlsOptions(options.tls ?? {}) }),
  };
}

function tlsOptions({ serverName, ...rest }: NatsTls): NonNullable<ConnectionOptions["tls"]> {
  // Passed to Node's TLS, which has another name for it.
  return serverName === undefined ? rest : Object.assign({ servername: serverName }, rest);
}

/** The message of the NATS client for a connection that was closed without an error. */
const closedEarly = "error connecting - node provided an undefined error";

function textOf(error: unknown): string | undefined {
  if (error instanceof Error && error.message === closedEarly) return "the connection was closed before the broker greeted";
  return error instanceof Error && error.message !== "" ? error.message : undefined;
}

async function resolveHost(host: string): Promise<readonly string[]> {
  const found = await lookup(host, { all: true });
  return found.map((entry) => entry.address);
}

/** Milliseconds that fit the system's timers, which the NATS client uses. */
function timerMs(value: Duration, option: string): number {
  return Math.min(asDuration(value, option, atLeastOneMs), limits.timerMsMax);
}
