import type { AnyActorRef } from "xstate";
import type { Bus } from "../../../transport/bus.js";

/** A bus whose lifecycle a machine decides. */
export interface BusWithMachine extends Bus {
  /** The actor of the machine, for inspection. It ends when the bus is closed. */
  readonly actor: AnyActorRef;
}

/** False for a bus inside this process, and for one that the caller provides. */
export function hasMachine(bus: Bus): bus is BusWithMachine {
  return "actor" in bus;
}
