import type { Seams } from "../../core/index.js";
import type { Transport } from "../../transport/transport.js";

/** Seams of a part that talks to the other processes of a realm. */
export interface RealmSeams extends Seams {
  readonly realm: string;
  readonly transport: Transport;
}
