import type { ActorView } from "../../actors/index.js";
import { DisconnectedError, type ServerStatus, tidToMs, type Value } from "../../index.js";
import { limits } from "../../core/index.js";
import type { CliCommand } from "../command.js";
import { actorsAnswerMs, shownState, stateText } from "../actors.js";
import { addConnectionOptions, type ConnectionFlags } from "../connection.js";
import { count, duration } from "../progress.js";
import { withRealm } from "../realm-system.js";
import { withStore } from "../store.js";
import type { Surroundings } from "../surroundings.js";
import { table } from "../table.js";

/** A client. If it does not answer, only its session is known. */
interface ClientLine {
  readonly client: string;
  readonly session: string;
  readonly connection: string | undefined;
  readonly seenMsAgo: number;
  /** Age of its cache against the last transaction; undefined when the client does not answer. */
  readonly lagMs: number | undefined;
  /**
   * Age of its oldest open snapshot against the last transaction; the server keeps history for it. Undefined when it
   * has none.
   */
  readonly snapshotMs: number | undefined;
  /** Share of reads that its cache answered; undefined before the first read. */
  readonly hitRate: number | undefined;
}

interface Status {
  /** Null: no storage server answers. */
  readonly server: ServerStatus | null;
  readonly clients: readonly ClientLine[];
  /** `failures`: how many times it has failed. */
  readonly machines: readonly { readonly path: string; readonly state: string; readonly failures: number }[];
}

/** `zooid status`: shows server, clients and machines. */
export function addStatus(program: CliCommand, surroundings: Surroundings): void {
  const command = program.command("status").description("Shows the storage server, its clients, and the current state of every machine.")
    .notes(`
Ends with exit code 1 if no storage server answers, so that it can serve as a health check. It still shows the machines of the
realm then, such as those of your own services.

Examples:
  $ zooid status
  $ zooid status --realm shop
  $ zooid status --json | jq .server.position
  $ zooid status --timeout 2s > /dev/null || echo no storage server`);
  addConnectionOptions(command).action(async (flags: ConnectionFlags) => {
    const show = async (status: Status) => {
      if (flags.json === true) await surroundings.out.json(status);
      else for (const line of statusLines(status)) await surroundings.out.line(line);
    };
    try {
      const server = await withStore(flags, surroundings, (store) => store.serverStatus());
      await show(statusOf(server, await actorsThere(flags)));
    } catch (error) {
      // A realm of services alone has no storage server, but machines.
      if (!(error instanceof DisconnectedError) || error.missing === "broker") throw error;
      const views = await actorsThere(flags).catch(() => []);
      if (views.length > 0) await show({ server: null, clients: [], machines: machinesOf(views) });
      throw error;
    }
  });
}

function statusOf(server: ServerStatus, actors: readonly ActorView[]): Status {
  // Sessions of commands like this one end with the answer. They are left out.
  const isPassing = ({ client }: { readonly client: string }) => /^zooid-[0-9a-f]{16}$/.test(client);
  const passing = server.sessions.filter(isPassing).map(({ session }) => session);
  const sessions = server.sessions.filter((session) => !isPassing(session));
  const views = actors.filter(({ path }) => !passing.some((session) => path.endsWith(`/${session}`)));
  const clients = sessions.map((session): ClientLine => {
    const view = views.find(({ path }) => path === `client/${session.client}/connection`);
    const position = numberIn(view, "position");
    const oldest = session.oldestSnapshot;
    const hits = numberIn(view, "hits");
    const misses = numberIn(view, "misses");
    return {
      client: session.client,
      session: session.state,
      connection: view === undefined ? undefined : stateText(view.value),
      seenMsAgo: session.seenMsAgo,
      lagMs: position === undefined ? undefined : Math.max(0, tidToMs(server.position.tid) - Math.floor(position / 1_024)),
      snapshotMs: oldest === undefined ? undefined : Math.max(0, tidToMs(server.position.tid) - tidToMs(oldest)),
      hitRate: hits === undefined || misses === undefined || hits + misses === 0 ? undefined : hits / (hits + misses),
    };
  });
  return { server, clients, machines: machinesOf(views) };
}

function machinesOf(views: readonly ActorView[]): Status["machines"] {
  return views.map((view) => ({ path: view.path, state: shownState(view), failures: view.failures }));
}

function actorsThere(flags: ConnectionFlags): Promise<readonly ActorView[]> {
  return withRealm(flags, "zooid status", ({ system }) => system.list(actorsAnswerMs));
}

function numberIn(view: ActorView | undefined, name: string): number | undefined {
  const value: Value | undefined = view?.context[name];
  return typeof value === "number" ? value : undefined;
}

function statusLines({ server, clients, machines }: Status): readonly string[] {
  // The state of a session stands beside its client.
  const rows = machines.filter(({ path }) => !/^server\/[^/]+\/session\//.test(path)).map(({ path, state }) => [path, state]);
  const machineLines = table(["machine", "state"], rows);
  if (server === null) return machineLines;
  const { tid } = server.position;
  const ahead = server.tidsAheadMs > limits.clockJumpMsMax ? `, ${duration(server.tidsAheadMs)} ahead of the server's clock` : "";
  const last = tid === 0 ? "no transaction yet" : `last transaction ${tid} (${new Date(tidToMs(tid)).toISOString()}${ahead})`;
  const counters = Object.entries(server.counters).map(([name, value]) => `${name} ${count(value)}`);
  return [
    `storage ${server.storage}: ${server.readOnly ? "read-only" : "read-write"}, instance ${server.instance}, up ${duration(server.uptimeMs)}`,
    `  ${last}, digest ${server.position.digest}`,
    `  queue: ${count(server.queue.transactions)} transactions, ${count(server.queue.keys)} keys; outcomes known: ${count(server.outcomes)}`,
    `  ${counters.join(", ")}`,
    ...server.openTransactions.map(
      ({ id, client, state, sinceMs }) => `  transaction ${id} of ${client}: ${state} for ${duration(sinceMs)}`,
    ),
    "",
    ...(clients.length === 0
      ? ["no clients"]
      : table(["client", "session", "connection", "seen", "lag", "snapshot", "hit rate"], clients.map(clientCells))),
    "",
    ...machineLines,
  ];
}

function clientCells({ client, session, connection, seenMsAgo, lagMs, snapshotMs, hitRate }: ClientLine): readonly string[] {
  const rate = hitRate === undefined ? "-" : `${(hitRate * 100).toFixed(1)} %`;
  const behind = (ms: number | undefined) => (ms === undefined ? "-" : duration(ms));
  return [client, session, connection ?? "-", `${duration(seenMsAgo)} ago`, behind(lagMs), behind(snapshotMs), rate];
}
