import type { CityServiceOptions } from "../service.js";
import type { Running } from "./running.js";

/** How the parts are run: as processes of their own around a nats-server, or all inside this one. */
export interface Launcher {
  /** Address of the broker, for clients. */
  readonly servers: string;
  /** What the broker is, for people. */
  readonly brokerDetail: string;
  /** Everything runs inside this process. */
  readonly isOneProcess: boolean;
  broker(): Running;
  server(): Running;
  service(options: CityServiceOptions): Running;
}

/** Folders of the parts. */
export interface PartFolders {
  readonly objects: string;
  readonly logs: string;
}
