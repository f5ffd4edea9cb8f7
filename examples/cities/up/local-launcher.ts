import { join } from "node:path";
import type { Seams } from "../../../core/index.js";
import { createBroker, serveBroker } from "../../../actors/index.js";
import { logOf } from "../../../cli/connection.js";
import { startCityService } from "../service.js";
import { serveFolders, storageFolders } from "../../../cli/serve-folders.js";
import type { ControlServer } from "./control-server.js";
import { Embedded, type Opened } from "./embedded.js";
import type { Launcher, PartFolders } from "./launcher.js";

export interface LocalLauncherOptions extends Pick<Seams, "clock" | "log"> {
  readonly control: ControlServer;
  readonly folders: PartFolders;
}

/**
 * Runs each part inside this process. Other processes join the broker through the control port. So do the services:
 * their clients connect as in any other process.
 */
export async function createLocalLauncher({ control, folders, clock, log }: LocalLauncherOptions): Promise<Launcher> {
  const servers = control.url.replace(/^http/, "ws");
  const broker = createBroker({ clock, log, address: servers });
  broker.stop();
  await serveBroker({ broker, server: control.server, clock, log });

  const openServer = async (fail: (error: unknown) => void, signal: AbortSignal): Promise<Opened> => {
    const serverLog = logOf({ logLevel: "warn" }, join(folders.logs, "storage-server.log"));
    const transport = broker.connect(serverLog);
    try {
      const storages = storageFolders(folders.objects, ["main"]);
      const served = await serveFolders({ folders: storages, realm: "zooid", transport, log: serverLog, signal, onFatal: fail });
      const close = async () => {
        await served.close();
        await transport.close();
      };
      return { close };
    } catch (error) {
      await transport.close();
      throw error;
    }
  };
  return {
    servers,
    brokerDetail: `in this process, at ${servers}`,
    isOneProcess: true,
    broker: () =>
      new Embedded({
        name: "broker",
        open: async () => {
          broker.start();
          return { close: () => broker.stop() };
        },
      }),
    server: () => new Embedded({ name: "storage server", open: openServer }),
    service: (service) =>
      new Embedded({
        name: `service ${service.name}`,
        open: () =>
          startCityService({
            ...service,
            log: logOf({ logLevel: "warn" }, join(folders.logs, `service-${service.name.toLowerCase()}.log`)),
          }),
      }),
  };
}
