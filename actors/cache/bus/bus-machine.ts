import { type Actor, type AnyActorRef, type AnyStateMachine, createActor } from "xstate";
import { type Clock, detachedClock, type Log, type Random, seamsOf, type SeamOptions } from "../../../core/index.js";
import type { Bus, BusEvent } from "../../../transport/bus.js";
import { BusListener } from "../../../transport/bus-listener.js";
import { BusTrouble } from "../../../transport/bus-trouble.js";
import { Waiters } from "../../../transport/waiters.js";

/** A bus whose lifecycle a machine decides. */
export interface BusWithMachine extends Bus {
  /** The actor of the machine, for inspection. It ends when the bus is closed. */
  readonly actor: AnyActorRef;
}

/** False for a bus inside this process, and for one that the caller provides. */
export function hasMachine(bus: Bus): bus is BusWithMachine {
  return "actor" in bus;
}

/** A bus over a broker: its seams, its listener, and the link to the machine that drives it. */
export abstract class DrivenBus {
  protected readonly clock: Clock;
  protected readonly random: Random;
  protected readonly log: Log;
  protected readonly listener: BusListener;
  protected readonly troubles: BusTrouble;
  protected readonly ends: (() => void)[] = [];
  /** Calls that wait until this node follows. */
  protected readonly waiters = new Waiters();
  /** The machine is in `following`. A field, because each message checks it. */
  protected isFollowing = false;
  /** Effects that are the same for both machines. */
  protected readonly effects;

  constructor(seams: SeamOptions, facts: Readonly<Record<string, unknown>>) {
    const { clock, random, log } = seamsOf(seams);
    this.clock = clock;
    this.random = random;
    this.log = log;
    this.listener = new BusListener(log);
    this.troubles = new BusTrouble(log, facts);
    this.effects = {
      notifyCut: (_: unknown, { reason }: { readonly reason: string }) => this.listener.cut(reason, facts),
      leave: () => {
        this.isFollowing = false;
      },
      logUnexpected: ({ event }: { readonly event: { readonly type: string } }) => log.warn({ event: event.type }, "an unexpected event"),
    };
  }

  get trouble(): Error | undefined {
    return this.troubles.error;
  }

  listen(listener: (event: BusEvent) => void): void {
    this.listener.set(listener);
  }

  protected drivenBy<Machine extends AnyStateMachine>(machine: Machine): Actor<Machine> {
    const actor = createActor(machine as AnyStateMachine, { id: "cache/bus", clock: detachedClock(this.clock) }) as Actor<Machine>;
    actor.subscribe({ error: (error) => this.log.error({ err: error }, "the machine of the bus failed") });
    return actor.start();
  }
}
