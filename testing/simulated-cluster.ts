import type { Random, Clock } from "../core/index.js";
import type { Brokers, PublishedMessage, Subscriber } from "./published.js";

/** What decides a simulated cluster. */
export interface SimulatedClusterOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Brokers, numbered from 0. */
  readonly size: number;
  /** What a route takes from one broker to another, in ms; messages of one route stay in their order. */
  readonly routeMsMin: number;
  readonly routeMsMax: number;
  /** Called with each publication when the broker of its publisher has it. */
  readonly onTaken?: (publication: PublishedMessage) => void;
}

/** The way from one broker to another. */
interface Route {
  /** When the last message on it arrives. */
  lineMs: number;
  /** Messages that were sent before this number rose are lost. */
  losses: number;
}

/**
 * A cluster of plain NATS brokers without JetStream: each process is linked to one of them. Each link and each route keeps its order and loses
 * only what is on it when it breaks; nothing orders two of them. A broken route tells nobody. A broker learns over its routes who
 * subscribes at another one, and what it has before that goes past the subscriber.
 */
export class SimulatedCluster implements Brokers {
  readonly size: number;
  readonly #options: SimulatedClusterOptions;
  readonly #brokers = new Map<string, number>();
  readonly #routes = new Map<string, Route>();
  /** By process and broker: when the last of its messages that reached that broker had reached its own. */
  readonly #reached = new Map<string, number>();
  #areRoutesBroken = false;

  constructor(options: SimulatedClusterOptions) {
    this.size = options.size;
    this.#options = options;
  }

  /** Number of the broker that `name` is linked to. */
  brokerOf(name: string): number {
    return this.#brokers.get(name) ?? 0;
  }

  /** The next link of `name` is to `broker`. To be called while it has none. */
  move(name: string, broker: number): void {
    this.#brokers.set(name, broker);
  }

  /** All routes lose what is on them, and carry nothing until they are mended. */
  breakRoutes(): void {
    this.#areRoutesBroken = true;
    for (const route of this.#routes.values()) route.losses++;
  }

  mendRoutes(): void {
    this.#areRoutesBroken = false;
  }

  /** `broker` was killed: what it had taken and not passed on is lost. Its links are to be cut by the caller. */
  crash(broker: number): void {
    for (const [name, route] of this.#routes) if (name.split(">").includes(String(broker))) route.losses++;
  }

  took(publication: PublishedMessage): void {
    this.#options.onTaken?.(publication);
  }

  carry({ from }: PublishedMessage, to: Subscriber, arrive: () => void): void {
    const [here, there] = [this.brokerOf(from), this.brokerOf(to.name)];
    if (here === there) {
      arrive();
      return;
    }
    const { clock, random, routeMsMin, routeMsMax } = this.#options;
    const takenMs = clock.monotonic();
    const isKnown = Math.max(this.#reached.get(`${to.name}>${here}`) ?? -Infinity, takenMs - routeMsMax) >= to.sinceMs;
    if (this.#areRoutesBroken || !isKnown) return;
    const route = this.#route(here, there);
    const { losses } = route;
    route.lineMs = Math.max(route.lineMs, takenMs + routeMsMin + random.fraction() * (routeMsMax - routeMsMin));
    clock.setTimeout(() => {
      if (route.losses !== losses) return;
      this.#reached.set(`${from}>${there}`, takenMs);
      arrive();
    }, route.lineMs - takenMs);
  }

  #route(here: number, there: number): Route {
    const name = `${here}>${there}`;
    const route = this.#routes.get(name) ?? { lineMs: 0, losses: 0 };
    this.#routes.set(name, route);
    return route;
  }
}
