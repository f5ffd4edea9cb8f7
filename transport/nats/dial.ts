import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import type { ConnectionOptions } from "nats";
import { asDuration, atLeastOneMs, DisconnectedError, type Duration, limits } from "../../core/index.js";
import { isLasting } from "../redial.js";
import { hostAndPort, type NatsAddress, portDefault } from "./address.js";
import { isClosedEarly, NatsLink } from "./link.js";
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

/**
 * Dials the IP addresses of `address`, each in the resolver's order, until one is reached. Rejects with
 * NotAuthorizedError, CertificateError or DisconnectedError.
 * Servers that a cluster gossips about are not used: they may not be reachable from here, and no configuration vouches
 * for their names.
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
  const link = new NatsLink(host, hostAndPort(host, address.port), connectionOptions(address, options));
  try {
    await link.dial(isIP(address.host) === 0 ? address.host : undefined, signal);
    return link;
  } catch (error) {
    const asksForCertificate = link.server?.tls_verify === true;
    link.abandon();
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

function connectionOptions(address: NatsAddress, options: NatsDialOptions): ConnectionOptions {
  const user = address.user ?? options.user;
  const password = address.user === undefined ? options.password : address.password;
  const token = address.token ?? options.token;
  return {
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

function textOf(error: unknown): string | undefined {
  if (isClosedEarly(error)) return "the connection was closed before the broker greeted";
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
