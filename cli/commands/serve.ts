import { once } from "node:events";
import { definedOf, systemRandom, systemClock } from "../../core/index.js";
import { openTransport, untilStatus } from "../../actors/index.js";
import type { CliCommand } from "../command.js";
import { addBrokerOptions, type BrokerFlags, brokerOf, logOf } from "../connection.js";
import { option, parseDuration, parseInteger, parseNames, switchOption } from "../parsing.js";
import { serveFolders, storageFolders } from "../serve-folders.js";
import type { Surroundings } from "../surroundings.js";

interface ServeFlags extends BrokerFlags {
  readonly data: string;
  readonly storages: readonly string[];
  readonly readOnly?: boolean;
  readonly takeOver?: boolean;
  readonly historyAge?: number;
  readonly invalidationAge?: number;
  readonly invalidationQueue?: number;
  readonly outcomeAge?: number;
  readonly transactionTimeout?: number;
  readonly sessionTimeout?: number;
  readonly heartbeatInterval?: number;
}

/** A running broker accepts the connection within this time. After it, a notice is printed. */
const waitNoticeMs = 500;

/** `zooid serve`: a storage server. */
export function addServe(program: CliCommand, surroundings: Surroundings): void {
  const age = (flags: string, variable: `ZOOID_${string}`, description: string) =>
    option(flags, variable, description).argParser(parseDuration);
  const command = program
    .command("serve")
    .description("Runs a storage server, which owns the objects of one or more storages, each in a folder.")
    .addOption(option("--data <folder>", "ZOOID_DATA", "folder of the data").default("zooid-data"))
    .addOption(
      option("--storages <names>", "ZOOID_STORAGES", "storages to serve, with commas").argParser(parseNames).default(["main"], "main"),
    )
    .addOption(switchOption("--read-only", "ZOOID_READ_ONLY", "take no commits"))
    .addOption(switchOption("--take-over", "ZOOID_TAKE_OVER", "start even if another server may still run that does not answer"))
    .addOption(age("--history-age <duration>", "ZOOID_HISTORY_AGE", "remove revisions older than this (default: keep them for ever)"))
    .addOption(
      age("--invalidation-age <duration>", "ZOOID_INVALIDATION_AGE", "a client cache that was away longer begins empty (default: 1d)"),
    )
    .addOption(
      option(
        "--invalidation-queue <count>",
        "ZOOID_INVALIDATION_QUEUE",
        "transactions kept in memory for client caches that return (default: 100)",
      ).argParser(parseInteger(1, 1_000_000)),
    )
    .addOption(age("--outcome-age <duration>", "ZOOID_OUTCOME_AGE", "remember the outcome of a commit this long (default: 10m)"))
    .addOption(
      age(
        "--transaction-timeout <duration>",
        "ZOOID_TRANSACTION_TIMEOUT",
        "abort a transaction that is not finished within this time after its vote (default: 30s)",
      ),
    )
    .addOption(
      age(
        "--session-timeout <duration>",
        "ZOOID_SESSION_TIMEOUT",
        "end the session of a client that is silent for this long (default: 20s)",
      ),
    )
    .addOption(age("--heartbeat-interval <duration>", "ZOOID_HEARTBEAT_INTERVAL", "interval of heartbeats to clients (default: 1s)"))
    .notes(`
Waits for the broker, prints a line when it is ready, and serves until SIGTERM or SIGINT. Acknowledged commits survive SIGKILL.
Before it serves, it waits until the broker confirms that no other server writes the same storages. If that server has ended, the
broker confirms it at once. If its machine has lost power or network, the broker needs up to ping_interval x (ping_max + 2) to notice,
8 minutes by default. --take-over does not wait: if the other server still runs, its commits are lost.

Examples:
  $ zooid serve --data /var/lib/zooid
  $ zooid serve --servers nats://10.0.0.5:4222 --storages main,archive --history-age 30d
  $ ZOOID_TOKEN=… zooid serve --read-only --json`);
  addBrokerOptions(command, "warn").action((flags: ServeFlags) => serve(flags, surroundings));
}

async function serve(flags: ServeFlags, { out, say, signal }: Surroundings): Promise<void> {
  const log = logOf(flags);
  const seams = { clock: systemClock, random: systemRandom, log };
  const folders = storageFolders(flags.data, flags.storages);
  const transport = await openTransport({ ...(await brokerOf(flags)), name: "zooid serve", waitForFirst: "refusal", ...seams });
  const fatal = new AbortController();
  try {
    const notice = systemClock.setTimeout(() => {
      const { address, problem } = transport;
      if (flags.json === true) say(JSON.stringify({ event: "waiting", address, ...(problem && { reason: problem.message }) }));
      else say(`zooid serve: waiting for a broker${problem === undefined ? ` at ${address}` : `: ${problem.message}`}`);
    }, waitNoticeMs);
    await untilStatus(transport, "connected", signal).finally(() => systemClock.clearTimeout(notice));
    const { realm } = flags;
    const onFatal = (error: unknown) => fatal.abort(error);
    const { server, close } = await serveFolders({ folders, realm, transport, log, ...boundsOf(flags), signal, onFatal });
    try {
      const storages = server.storages.map((storage) => ({ storage, tid: server.status(storage).position.tid }));
      if (flags.json === true) await out.json({ event: "ready", instance: server.instance, address: transport.address, realm, storages });
      else await out.line(`zooid serve: ready, storages ${server.storages.join(", ")} of realm ${realm} at ${transport.address}`);
      const ending = AbortSignal.any([signal, fatal.signal]);
      if (!ending.aborted) await once(ending, "abort");
    } finally {
      await close();
    }
  } finally {
    await transport.close();
  }
  if (fatal.signal.aborted) throw fatal.signal.reason;
}

function boundsOf(flags: ServeFlags) {
  return {
    readOnly: flags.readOnly === true,
    takeOver: flags.takeOver === true,
    storageBounds: definedOf({
      historyAgeMs: flags.historyAge,
      invalidationAgeMs: flags.invalidationAge,
      invalidationQueueSize: flags.invalidationQueue,
      outcomeAgeMs: flags.outcomeAge,
    }),
    ...definedOf({
      transactionTimeoutMs: flags.transactionTimeout,
      sessionTimeoutMs: flags.sessionTimeout,
      heartbeatIntervalMs: flags.heartbeatInterval,
    }),
  };
}
