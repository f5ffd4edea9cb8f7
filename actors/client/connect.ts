import { openLmdbStore } from "../../storage/kv/lmdb-store.js";
import type { OpenStore } from "../../storage/kv/ordered-store.js";
import { natsOptionNames, openTransport, type OpenTransportOptions } from "../../transport/open.js";
import { WaitingNotice } from "../../core/waiting-notice.js";
import { DisconnectedError, InvalidOptionError, silentLog, systemRandom, systemClock, type Log } from "../../core/index.js";
import { noAnswerYet } from "./connection/missing.js";
import { clientBounds, clientOptionNames, type ClientOptions } from "./options.js";
import { checkLog, checkName, checkNames, definedOf } from "../../core/options.js";
import { openObjectClient, type ObjectClient } from "./object-client.js";
import type { AnySchema, UntypedSchema } from "../protocol/schema.js";
import { createActorSystem } from "../system/actor-system.js";

/** Where a client connects, its credentials there, and how it behaves. Only `servers` is required. */
export interface ConnectOptions<Schema extends AnySchema = UntypedSchema>
  extends ClientOptions<Schema>, Pick<OpenTransportOptions, "servers" | (typeof natsOptionNames)[number]> {
  /** Clients and servers of one realm find each other; a broker may carry several. Default: `zooid`. */
  readonly realm?: string | undefined;
  /** Name of the storage. Default: `main`. */
  readonly storage?: string | undefined;
  /** Where the cache is kept: a folder of this client alone, or in memory only (`transient`). Default: `transient`. */
  readonly cache?: { readonly folder: string } | "transient" | undefined;
  /** Any pino logger. Default: nothing is logged. */
  readonly log?: Log | undefined;
}

/** Options of a client with any schemas. */
type AnyConnectOptions = Omit<ConnectOptions, "schemas">;

const ownNames = ["servers", "realm", "storage", "cache", "log"] as const satisfies readonly (keyof ConnectOptions)[];
const names: ReadonlySet<string> = new Set([...ownNames, ...natsOptionNames, ...clientOptionNames]);

/**
 * Connects a client to a storage. An address alone means `{ servers: address }`.
 *
 * Resolves when the client's cache is verified. If the cache holds data, resolves also when the first attempt to
 * connect has failed: the client then reads from its cache. Waits for a broker or a server that is missing; within a
 * second or two the log, or a warning of the process if no log was given, says which of them is missing.
 *
 * Rejects at once with InvalidOptionError, NotAuthorizedError, CertificateError, CapturedSubjectsError,
 * OtherHistoryError, ServerBehindError, ProtocolVersionError, InUseError or StoreError. For other reasons it rejects
 * after connectTimeoutMs with DisconnectedError, which says why.
 */
export async function connect<Schema extends AnySchema = UntypedSchema>(
  given: ConnectOptions<Schema> | string,
): Promise<ObjectClient<Schema>> {
  const options = optionsOf(given);
  const { realm = "zooid", storage = "main", log = silentLog } = options;
  const client = options.client ?? `client-${systemRandom.id()}`;
  checkOptions(options);
  checkLog(log);
  checkName("realm", realm);
  checkName("storage", storage);
  checkName("client", client);
  const { connectTimeoutMs } = clientBounds(options);
  const seams = { clock: systemClock, random: systemRandom, log };
  const open = cacheOpener(options.cache, log);
  const sinceMs = systemClock.monotonic();
  let problem = (): Error | undefined => new DisconnectedError({ address: "its broker", reason: noAnswerYet });
  const notice = new WaitingNotice({
    clock: systemClock,
    log: options.log,
    message: "a client waits for its storage server",
    facts: { client, realm, storage },
    problem: () => problem(),
  });
  try {
    // Wait for a broker that is not there yet, but not for one that refuses this client.
    const transport = await openTransport({ ...brokerOf(options), name: client, waitForFirst: "refusal", ...seams });
    const system = createActorSystem({ realm, transport, ...seams });
    const release = async () => {
      notice.end();
      system.close();
      await transport.close();
    };
    const onOpening = (why: typeof problem) => {
      problem = why;
    };
    const deps = { realm, storage, client, cache: open, transport, system, onOpening, release, ...seams };
    const leftMs = Math.max(0, connectTimeoutMs - (systemClock.monotonic() - sinceMs));
    const opened = await openObjectClient<Schema>({ ...options, ...deps, connectTimeoutMs: leftMs });
    if (opened.isConnected) notice.end();
    return opened;
  } catch (error) {
    notice.end();
    throw error;
  }
}

function brokerOf({ servers, user, password, token, tls, resolve, inboxPrefix }: AnyConnectOptions): OpenTransportOptions {
  return { servers, ...definedOf({ user, password, token, tls, resolve, inboxPrefix }) };
}

/** Throws InvalidOptionError. */
function cacheOpener(cache: ConnectOptions["cache"], log: Log): OpenStore | undefined {
  if (cache === undefined || cache === "transient") return undefined;
  if (typeof cache !== "object" || typeof cache.folder !== "string" || cache.folder === "") {
    throw new InvalidOptionError({ option: "cache", reason: 'is neither { folder } nor "transient"' });
  }
  // A cache can be loaded again, so it need not survive a crash of the system. Surviving one would cost a sync of the
  // disk for each batch.
  return () => openLmdbStore({ folder: cache.folder, durable: false, log });
}

/** Plain JavaScript may pass no options, or anything else. Throws InvalidOptionError. */
function optionsOf<Schema extends AnySchema>(given: ConnectOptions<Schema> | string | null | undefined): ConnectOptions<Schema> {
  if (typeof given === "string") return { servers: given };
  if (typeof given === "object" && given !== null) return given;
  throw new InvalidOptionError({ option: "servers", reason: missingServers });
}

const missingServers = 'is missing: connect("nats://127.0.0.1:4222"), or connect({ servers: "nats://127.0.0.1:4222" })';

/** Throws InvalidOptionError, which names the option. */
function checkOptions(options: AnyConnectOptions): void {
  checkNames(options, names);
  const { servers } = options;
  if (servers === undefined) throw new InvalidOptionError({ option: "servers", reason: missingServers });
  const isServers =
    typeof servers === "string" ? servers !== "" : Array.isArray(servers) && servers.every((each) => typeof each === "string");
  if (!isServers) throw new InvalidOptionError({ option: "servers", reason: "is neither an address nor a list of addresses" });
}
