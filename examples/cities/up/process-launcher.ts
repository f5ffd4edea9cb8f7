import { join } from "node:path";
import type { Clock } from "../../../core/index.js";
import { Child } from "./child.js";
import type { Launcher, PartFolders } from "./launcher.js";

export interface ProcessLauncherOptions {
  /** The nats-server's program. */
  readonly natsServer: string;
  readonly host: string;
  readonly port: number;
  readonly folders: PartFolders;
  readonly clock: Clock;
}

/** Runs each part as a process of its own. */
export function createProcessLauncher({ natsServer, host, port, folders, clock }: ProcessLauncherOptions): Launcher {
  const servers = `nats://${host}:${port}`;
  const logFile = (name: string) => join(folders.logs, `${name}.log`);
  const isReady = (line: string) => line.startsWith('{"event":"ready"');
  return {
    servers,
    brokerDetail: `nats-server at ${servers}`,
    isOneProcess: false,
    broker: () =>
      new Child({
        name: "broker",
        run: { command: natsServer },
        flags: ["--addr", host, "--port", String(port)],
        logFile: logFile("nats-server"),
        isReady: (line) => line.includes("Server is ready"),
        clock,
      }),
    server: () =>
      new Child({
        name: "storage server",
        run: { module: new URL("../../../cli/zooid.js", import.meta.url) },
        flags: ["serve", "--json", "--data", folders.objects, "--servers", servers],
        logFile: logFile("storage-server"),
        isReady,
        clock,
      }),
    service: (service) =>
      new Child({
        name: `service ${service.name}`,
        run: { module: new URL("../run-service.js", import.meta.url) },
        flags: [],
        env: {
          NAME: service.name,
          HOST: service.host,
          PORT: String(service.port),
          CACHE: service.cache,
          ZOOID_SERVERS: service.servers,
          ZOOID_REALM: service.realm,
        },
        logFile: logFile(`service-${service.name.toLowerCase()}`),
        isReady,
        clock,
      }),
  };
}
