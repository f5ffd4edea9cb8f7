import { isIP } from "node:net";
import { InvalidOptionError } from "../../core/index.js";

/** One server as it was written: nats:// or tls://, a name or an IP address, with or without credentials. */
export interface NatsAddress {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly token: string | undefined;
  /** Without the credentials, for people and logs. */
  readonly text: string;
}

/** The port of a nats-server that is given none. */
export const portDefault = 4222;

/**
 * Reads `nats://[user:password@|token@]host[:port]`, the same with `tls://`, or `host[:port]`. Throws
 * InvalidOptionError, which names `option`.
 */
export function natsAddress(server: string, option = "servers"): NatsAddress {
  const wrong = (reason: string) => new InvalidOptionError({ option, reason });
  const url = server.includes("://") ? server : `nats://${server}`;
  if (!URL.canParse(url)) throw wrong("holds an address that cannot be read");
  const { protocol, hostname, port, username, password, pathname, search, hash } = new URL(url);
  if (protocol !== "nats:" && protocol !== "tls:") throw wrong(`holds ${protocol}//, which is not nats:// or tls://`);
  if (hostname === "") throw wrong("holds an address without a host");
  if ((pathname !== "" && pathname !== "/") || search !== "" || hash !== "") throw wrong(`holds ${protocol}//${hostname} with a path`);
  const host = hostname.startsWith("[") ? hostname.slice(1, -1) : hostname;
  const [name, secret] = [decode(username, wrong), decode(password, wrong)];
  return {
    host,
    port: port === "" ? portDefault : Number(port),
    tls: protocol === "tls:",
    user: secret === "" || name === "" ? undefined : name,
    password: secret === "" ? undefined : secret,
    token: secret === "" && name !== "" ? name : undefined,
    text: hostAndPort(host, port === "" ? portDefault : Number(port)),
  };
}

export function hostAndPort(host: string, port: number): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}

function decode(text: string, wrong: (reason: string) => Error): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw wrong("holds credentials that are not percent-encoded");
  }
}
