import type { Random, Clock } from "../core/index.js";
import type { Brokers, PublishedMessage, Subscriber } from "./published.js";

/** Seams, size and delays of a simulated cluster. */
export interface SimulatedClusterOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Number of brokers. They are numbered from 0. */
  readonly size: number;
  /** Time a message takes on a route between two brokers, in ms. Messages on one route keep their order. */
  readonly routeMsMin: number;
  readonly routeMsMax: number;
  /** Called with each publication when the publisher's broker has received it. */
  readonly onTaken?: (publication: PublishedMessage) => void;
}

/** The route from one broker to another. */
interface Route {
  /** When the last message on the route arrives. */
  lineMs: number;
  /** Counts breaks of the route. A message is lost if this number rises between its sending and its arrival. */
  losses: number;
}

/**
 * A cluster of plain NATS brokers without JetStream; each process is linked to one of them. Each link and each route
 * keeps its order, and loses only the messages on it when it breaks; two routes have no common order. A broken route is
 * silent. A broker learns over its routes of the subscribers at other brokers. A message that it takes before that does
 * not reach such a subscriber.
 */
export class SimulatedCluster implements Brokers {
  readonly size: number;
  readonly #options: SimulatedClusterOptions;
  readonly #brokers = new Map<string, number>();
  readonly #routes = new Map<string, Route>();
  /** By process and broker: when the process's own broker took the last of its messages that reached that broker. */
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

  /** Links `name` to `broker` from its next link on. Call it while `name` has no link. */
  move(name: string, broker: number): void {
    this.#brokers.set(name, broker);
  }

  /** All routes lose the messages on them, and carry nothing until they are mended. */
  breakRoutes(): void {
    this.#areRoutesBroken = true;
    for (const route of this.#routes.values()) route.losses++;
  }

  mendRoutes(): void {
    this.#areRoutesBroken = false;
  }

  /** Kills `broker`: messages that it has taken and not yet passed on are lost. The caller cuts the broker's links. */
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
