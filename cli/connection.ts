import { connect as connectSocket } from "node:net";
import { type Command, type Option } from "commander";
import pino from "pino";
import { definedOf } from "../core/index.js";
import type { Log } from "../index.js";
import { option, parseChoice, parseDuration, parseFile, parseName, parseServers, switchOption } from "./parsing.js";

/** Default addresses: of a nats-server, and of the broker inside `npm start` when there is no nats-server. */
export const defaultAddresses = { nats: "nats://127.0.0.1:4222", control: "ws://127.0.0.1:4280" } as const;

/** A broker on this machine accepts a connection at once. */
const probeTimeoutMs = 1_000;

/** Address of the broker, and credentials. */
export interface AddressFlags {
  readonly servers?: readonly string[];
  readonly user?: string;
  readonly password?: string;
  readonly token?: string;
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly inboxPrefix?: string;
  readonly json?: boolean;
  readonly logLevel: string;
}

/** Flags of every command that joins a realm. */
export interface BrokerFlags extends AddressFlags {
  readonly realm: string;
}

/** Flags of every command that is a client. */
export interface ConnectionFlags extends BrokerFlags {
  readonly storage: string;
  /** Undefined: a missing broker or server is an error at once. */
  readonly timeout?: number;
}

const levels = ["silent", "fatal", "error", "warn", "info", "debug", "trace"] as const;

/** Adds the flags of BrokerFlags. */
export function addBrokerOptions(command: Command, logLevel: (typeof levels)[number]): Command {
  const realm = option("--realm <name>", "ZOOID_REALM", "clients and servers of one realm find each other")
    .argParser(parseName)
    .default("zooid");
  return addAddressOptions(command.addOption(realm), logLevel);
}

/** Adds the flags of AddressFlags. */
export function addAddressOptions(command: Command, logLevel: (typeof levels)[number]): Command {
  return command
    .addOption(
      option(
        "--servers <addresses>",
        "ZOOID_SERVERS",
        `broker, one address or several with commas (default: ${defaultAddresses.nats}, or ${defaultAddresses.control} if nothing listens there)`,
      ).argParser(parseServers),
    )
    .addOption(option("--user <name>", "ZOOID_USER", "user name at the broker"))
    .addOption(option("--password <password>", "ZOOID_PASSWORD", "password at the broker; safer in the variable"))
    .addOption(option("--token <token>", "ZOOID_TOKEN", "token for the broker; safer in the variable"))
    .addOption(
      option("--tls-ca <file>", "ZOOID_TLS_CA", "PEM file: the authority that signs the broker's certificate").argParser(parseFile),
    )
    .addOption(option("--tls-cert <file>", "ZOOID_TLS_CERT", "PEM file: the certificate of this process").argParser(parseFile))
    .addOption(option("--tls-key <file>", "ZOOID_TLS_KEY", "PEM file: the key of that certificate").argParser(parseFile))
    .addOption(option("--inbox-prefix <subject>", "ZOOID_INBOX_PREFIX", "subject prefix of answers (default: _INBOX)"))
    .addOption(jsonOption())
    .addOption(logLevelOption(logLevel));
}

/** Adds the flags of ConnectionFlags. */
export function addConnectionOptions(command: Command): Command {
  command
    .addOption(option("--storage <name>", "ZOOID_STORAGE", "which storage").argParser(parseName).default("main"))
    .addOption(
      option(
        "--timeout <duration>",
        "ZOOID_TIMEOUT",
        "wait this long for a missing broker or server (default: not at all), and for each answer (default: 10s)",
      ).argParser(parseDuration),
    );
  return addBrokerOptions(command, "error");
}

/** Options of the transport. */
export async function brokerOf(flags: AddressFlags) {
  const { tlsCa: caFile, tlsCert: certFile, tlsKey: keyFile, user, password, token, inboxPrefix } = flags;
  const tls = definedOf({ caFile, certFile, keyFile });
  const given = { user, password, token, inboxPrefix, tls: Object.keys(tls).length === 0 ? undefined : tls };
  return { servers: await serversOf(flags), ...definedOf(given) };
}

/** `--json`: output and errors for programs. */
export function jsonOption(): Option {
  return switchOption("--json", "ZOOID_JSON", "output and errors as JSON, one object a line");
}

function logLevelOption(level: (typeof levels)[number]): Option {
  return option("--log-level <level>", "ZOOID_LOG_LEVEL", "level of the log on standard error")
    .argParser(parseChoice(levels))
    .default(level);
}

/** A log of JSON lines, on standard error or appended to `file`. */
export function logOf(flags: { readonly logLevel: string }, file?: string): Log {
  const destination = pino.destination({ dest: file ?? 2, sync: true });
  // A full disk must not end the process; it goes on without the log.
  if (file !== undefined) destination.on("error", () => undefined);
  return pino({ level: flags.logLevel, base: null }, destination);
}

/**
 * The addresses of --servers, else the first default address on which something listens: a nats-server, or `npm start`.
 */
async function serversOf(flags: { readonly servers?: readonly string[] }): Promise<readonly string[]> {
  if (flags.servers !== undefined) return flags.servers;
  for (const address of [defaultAddresses.nats, defaultAddresses.control]) {
    if (await isListenedOn(new URL(address))) return [address];
  }
  return [defaultAddresses.nats];
}

function isListenedOn(url: URL): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectSocket({ host: url.hostname, port: Number(url.port), timeout: probeTimeoutMs });
    const end = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("connect", () => end(true));
    socket.once("error", () => end(false));
    socket.once("timeout", () => end(false));
  });
}
