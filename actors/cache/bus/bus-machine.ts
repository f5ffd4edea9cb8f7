import type { AnyActorRef } from "xstate";
import type { Bus } from "../../../transport/bus.js";

/** A bus whose lifecycle a machine decides. */
export interface BusWithMachine extends Bus {
  /** Runs the machine, so that it can be watched. It ends when the bus is closed. */
  readonly actor: AnyActorRef;
}

/** False: the bus is one inside this process, or one of the caller's own. */
export function hasMachine(bus: Bus): bus is BusWithMachine {
  return "actor" in bus;
}
