import { rmSync } from "node:fs";
import { join } from "node:path";
import type { Seams } from "../../../core/index.js";
import { makeFolder } from "../../../storage/kv/make-folder.js";
import { CommandError } from "../../../cli/failure.js";
import type { ControlServer } from "./control-server.js";
import { findNatsServer, howToGetNatsServer } from "./find-nats-server.js";
import { createLocalLauncher } from "./local-launcher.js";
import { Part } from "./part.js";
import { checkPortFree } from "./ports.js";
import { createProcessLauncher } from "./process-launcher.js";
import type { Report } from "./report.js";
import type { UpFlags } from "./up-flags.js";

/** All parts that run on this machine, with their addresses. */
export interface Setup {
  readonly broker: Part;
  readonly server: Part;
  readonly services: readonly [Part, Part];
  /** Address of the broker, for clients. */
  readonly servers: string;
  /** All parts run inside this process. */
  readonly isOneProcess: boolean;
  readonly urls: { readonly a: string; readonly b: string };
  /** One line about a missing nats-server; undefined when there is one. */
  readonly missing: string | undefined;
}

export interface SetupOptions extends Pick<Seams, "clock" | "log"> {
  readonly flags: UpFlags;
  readonly control: ControlServer;
  readonly report: Report;
  readonly environment: NodeJS.ProcessEnv;
}

const loopback = "127.0.0.1";
/** Names that this command uses in the data folder. It never removes anything else there. */
const folders = { objects: "objects", cacheA: "cache-a", cacheB: "cache-b", logs: "logs" } as const;

/**
 * Prepares the parts; nothing runs yet. Throws a CommandError that names the option, when a port is taken or a folder
 * cannot be made.
 */
export async function createSetup({ flags, control, clock, log, report, environment }: SetupOptions): Promise<Setup> {
  const natsServer = flags.broker === "in-process" ? undefined : findNatsServer(environment);
  if (natsServer === undefined && flags.broker === "nats") {
    throw new CommandError("ZOOID_USAGE", `there is no nats-server for --broker nats: ${howToGetNatsServer}`);
  }
  const [portA, portB] = flags.servicePorts;
  if (natsServer !== undefined) await checkPortFree(flags.port, "--port");
  await checkPortFree(portA, "--service-ports");
  await checkPortFree(portB, "--service-ports");
  const within = prepareFolders(flags);

  const partFolders = { objects: within(folders.objects), logs: within(folders.logs) };
  const launcher =
    natsServer === undefined
      ? await createLocalLauncher({ control, folders: partFolders, clock, log })
      : createProcessLauncher({ natsServer, host: loopback, port: flags.port, folders: partFolders, clock });
  const { servers, isOneProcess } = launcher;
  const deps = { clock, report };
  const service = (name: "A" | "B", port: number, cache: string) =>
    new Part({
      name: `service ${name}`,
      detail: `http://${loopback}:${port}`,
      launch: () => launcher.service({ name, host: loopback, port, cache: within(cache), servers, realm: "zooid" }),
      ...deps,
    });
  return {
    broker: new Part({ name: "broker", detail: launcher.brokerDetail, launch: () => launcher.broker(), ...deps }),
    server: new Part({ name: "storage server", detail: partFolders.objects, launch: () => launcher.server(), ...deps }),
    services: [service("A", portA, folders.cacheA), service("B", portB, folders.cacheB)],
    servers,
    isOneProcess,
    urls: { a: `http://${loopback}:${portA}`, b: `http://${loopback}:${portB}` },
    missing: isOneProcess
      ? `no nats-server was found: all parts run in this process, and processes of this machine can join at ${servers}. To use one, ${howToGetNatsServer}`
      : undefined,
  };
}

function prepareFolders(flags: UpFlags): (name: string) => string {
  const within = (name: string) => join(flags.data, name);
  try {
    for (const name of Object.values(folders)) {
      if (flags.fresh === true) rmSync(within(name), { recursive: true, force: true });
      makeFolder(within(name));
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
