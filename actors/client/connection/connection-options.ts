import type { AppliedInvalidation, ClientCache } from "../../../storage/client-cache/client-cache.js";
import type { RealmSeams } from "../../protocol/realm-seams.js";
import type { ConnectionState } from "./connection-snapshot.js";
import type { RegisterActor } from "./shown-machines.js";

/** Seams, bounds and listeners of a client's connection. */
export interface ClientConnectionOptions extends RealmSeams {
  readonly storage: string;
  readonly client: string;
  /** The ids of the client's transactions begin with its hash. */
  readonly clientSecret: string;
  readonly readOnly: boolean;
  readonly onOtherHistory: "refuse" | "discard";
  readonly cache: ClientCache;
  readonly requestTimeoutMs: number;
  readonly heartbeatTimeoutMs: number;
  readonly waitTimeoutMs: number;
  /** Called after each applied invalidation. */
  readonly onApplied: (invalidation: AppliedInvalidation) => void;
  /** Called after the whole cache was dropped. `otherHistory`: it belonged to another history. */
  readonly onDiscarded: (otherHistory: boolean) => void;
  /** Called at each change of the state. */
  readonly onState: (state: ConnectionState) => void;
  /** Called when a server refuses the client for good. */
  readonly onRefused: (error: Error) => void;
  /** Gives an actor of the client its address, until the returned function is called. */
  readonly register: RegisterActor;
}
