import type { CityServiceOptions } from "../service.js";
import type { Running } from "./running.js";

/** Runs the parts: each as a process beside a nats-server, or all inside this process. */
export interface Launcher {
  /** Address of the broker, for clients. */
  readonly servers: string;
  /** Description of the broker, for people. */
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
