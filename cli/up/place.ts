import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Clock, type Log } from "../../index.js";
import { CommandError } from "../failure.js";
import { Child } from "./child.js";
import type { Door } from "./door.js";
import { findNatsServer, howToGetNatsServer } from "./find-nats-server.js";
import { LocalBroker } from "./local-broker.js";
import { type Part, ProcessPart } from "./parts.js";
import { checkPortFree } from "./ports.js";
import type { Report } from "./report.js";
import type { UpFlags } from "./up-flags.js";

/** All parts that run on this machine, and where they are. */
export interface Place {
  readonly broker: Part;
  readonly server: Part;
  readonly services: readonly [Part, Part];
  /** Address of the broker, for clients. */
  readonly servers: string;
  readonly urls: { readonly a: string; readonly b: string };
  /** What is missing, in one line, if anything is. */
  readonly missing: string | undefined;
}

export interface PlaceOptions {
  readonly flags: UpFlags;
  readonly door: Door;
  readonly clock: Clock;
  readonly log: Log;
  readonly report: Report;
  readonly environment: NodeJS.ProcessEnv;
}

const loopback = "127.0.0.1";
/** What belongs to us in the data folder: nothing else in it is ever removed. */
const folders = { objects: "objects", cacheA: "cache-a", cacheB: "cache-b", logs: "logs" } as const;

/** Sets the place up; nothing runs yet. Throws CommandErrors that name the option: of a port that is taken, a folder that cannot be made. */
export async function createPlace({ flags, door, clock, log, report, environment }: PlaceOptions): Promise<Place> {
  const natsServer = flags.broker === "in-process" ? undefined : findNatsServer(environment);
  if (natsServer === undefined && flags.broker === "nats") {
    throw new CommandError("ZOOID_USAGE", `there is no nats-server for --broker nats: ${howToGetNatsServer}`);
  }
  const [portA, portB] = flags.servicePorts;
  if (natsServer !== undefined) await checkPortFree(flags.port, "--port");
  await checkPortFree(portA, "--service-ports");
  await checkPortFree(portB, "--service-ports");
  const within = prepareFolders(flags);

  const around = { clock, report };
  const logFile = (name: string) => join(within(folders.logs), `${name}.log`);
  const isReadyEvent = (line: string) => line.startsWith('{"event":"ready"');
  const natsUrl = `nats://${loopback}:${flags.port}`;
  const launchNats = (command: string) => () =>
    new Child({
      name: "broker",
      run: { command },
      flags: ["--addr", loopback, "--port", String(flags.port)],
      logFile: logFile("nats-server"),
      isReady: (line) => line.includes("Server is ready"),
      clock,
    });
  const broker =
    natsServer === undefined
      ? new LocalBroker({ door, log, ...around })
      : new ProcessPart({ name: "broker", detail: `nats-server at ${natsUrl}`, launch: launchNats(natsServer), ...around });
  const servers = broker instanceof LocalBroker ? broker.address : natsUrl;

  const server = new ProcessPart({
    name: "storage server",
    detail: within(folders.objects),
    launch: () =>
      new Child({
        name: "storage server",
        run: { module: new URL("../zooid.js", import.meta.url) },
        flags: ["serve", "--json", "--data", within(folders.objects), "--servers", servers],
        logFile: logFile("storage-server"),
        isReady: isReadyEvent,
        clock,
      }),
    ...around,
  });
  const service = (name: "A" | "B", port: number, cache: string) =>
    new ProcessPart({
      name: `service ${name}`,
      detail: `http://${loopback}:${port}`,
      launch: () =>
        new Child({
          name: `service ${name}`,
          run: { module: new URL("../../examples/run-city-service.js", import.meta.url) },
          flags: [],
          env: { NAME: name, HOST: loopback, PORT: String(port), CACHE: within(cache), ZOOID_SERVERS: servers, ZOOID_REALM: "zooid" },
          logFile: logFile(`service-${name.toLowerCase()}`),
          isReady: isReadyEvent,
          clock,
        }),
      ...around,
    });
  return {
    broker,
    server,
    services: [service("A", portA, folders.cacheA), service("B", portB, folders.cacheB)],
    servers,
    urls: { a: `http://${loopback}:${portA}`, b: `http://${loopback}:${portB}` },
    missing:
      natsServer === undefined
        ? `without a nats-server only processes of this machine can join, through the door at ${servers}: ${howToGetNatsServer}`
        : undefined,
  };
}

function prepareFolders(flags: UpFlags): (name: string) => string {
  const within = (name: string) => join(flags.data, name);
  try {
    for (const name of Object.values(folders)) {
      if (flags.fresh === true) rmSync(within(name), { recursive: true, force: true });
      mkdirSync(within(name), { recursive: true });
    }
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new CommandError(
      "ZOOID_FILE",
      `${flags.data} cannot be used (${reason}): choose another folder with --data`,
      { folder: flags.data },
      error,
    );
  }
  return within;
}
