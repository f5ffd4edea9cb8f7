/**
 * Kills and suspends the two services of examples/orders while a customer sends orders, and checks what the actors
 * promise: an event is accepted once, a loss is noticed within its bound, and what supervision starts again goes on.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { type ActorSystem, createActorSystem, openTransport } from "../../../actors/index.js";
import { ActorLostError, delay, NoActorError, type Random, systemClock, ZooidError } from "../../../core/index.js";
import type { OrderEvent } from "../../../examples/orders/events.js";
import type { clerkMachine } from "../../../examples/orders/order-machine.js";
import { built } from "../../support/built.js";
import { until } from "../../support/until.js";

export interface KillsOptions {
  readonly servers: string;
  readonly rounds: number;
  readonly random: Random;
  /** The heartbeat time-out of the services and of the customer. */
  readonly heartbeatTimeoutMs: number;
  /** Time beyond the time-out in which a loss must have been noticed: for heartbeats, and for a busy machine. */
  readonly slackMs: number;
  readonly log: (line: string) => void;
}

export interface KillsResult {
  readonly rounds: number;
  readonly orders: number;
  readonly taken: number;
  readonly shipped: number;
  /** Failures of payments that were followed by a restart. */
  readonly restarts: number;
  /** Longest time from a signal until the customer noticed, and until the last order did, in milliseconds. */
  readonly noticedMsMax: number;
  readonly orderNoticedMsMax: number;
  readonly violations: readonly string[];
}

/** The customer waits while so many orders are open. */
const ordersOpenMax = 20;

type Service = "orders" | "payments";
const addresses = { orders: "orders/clerk", payments: "payments/desk" } as const;

/** Runs the rounds. Resolves also when promises are broken: the result names them. */
export async function runKills(options: KillsOptions): Promise<KillsResult> {
  const { heartbeatTimeoutMs } = options;
  const transport = await openTransport({ servers: options.servers, name: "customer" });
  const system = createActorSystem({ realm: "orders", transport, heartbeatTimeoutMs });
  const run = new KillsRun(options, system);
  try {
    return await run.run();
  } finally {
    run.end();
    system.close();
    await transport.close();
  }
}

class KillsRun {
  readonly #options: KillsOptions;
  readonly #system: ActorSystem;
  readonly #children = new Map<Service, ChildProcess>();
  readonly #ready: Record<Service, number> = { orders: 0, payments: 0 };
  /** How often each event was taken, by type and id. */
  readonly #taken = new Map<string, number>();
  /** By id of an order: how often it may have been taken, as the answer to its sender says. */
  readonly #expected = new Map<string, readonly number[]>();
  /** Each resolves when all lines of one process were read. */
  readonly #reading: Promise<unknown>[] = [];
  /** The state of each order of the running order service. */
  readonly #orders = new Map<string, string>();
  readonly #lost: Record<Service, number[]> = { orders: [], payments: [] };
  readonly #reached: Record<Service, number> = { orders: 0, payments: 0 };
  readonly #isLost: Record<Service, boolean> = { orders: false, payments: false };
  readonly #violations: string[] = [];
  readonly #stopping = new AbortController();
  #sent = 0;
  #shipped = 0;
  #restarts = 0;
  #noticedMsMax = 0;
  #orderNoticedMsMax = 0;

  constructor(options: KillsOptions, system: ActorSystem) {
    this.#options = options;
    this.#system = system;
  }

  async run(): Promise<KillsResult> {
    const { rounds, log } = this.#options;
    await Promise.all([this.#start("payments"), this.#start("orders")]);
    for (const service of ["orders", "payments"] as const) this.#watch(service);
    await until(() => this.#reached.orders > 0 && this.#reached.payments > 0);
    const ordering = this.#order();
    for (let round = 0; round < rounds; round++) {
      const service = this.#either("orders", "payments");
      const signal = this.#either("SIGKILL", "SIGSTOP");
      await this.#someOrders();
      const ms = await this.#strike(service, signal);
      log(`round ${round + 1}: ${signal} of ${service}, noticed after ${Math.round(ms)} ms, shipped ${this.#shipped}`);
    }
    // The services go on after the last round too.
    await this.#someOrders();
    this.#stopping.abort();
    await ordering;
    await this.#settle();
    await this.#stopAll();
    for (const [id, times] of this.#expected) {
      const taken = this.#taken.get(`ORDER ${id}`) ?? 0;
      if (!times.includes(taken)) this.#violations.push(`ORDER ${id} was taken ${taken} times, not ${times.join(" or ")}`);
    }
    for (const [event, times] of this.#taken) if (times > 1) this.#violations.push(`${event} was taken ${times} times`);
    return {
      rounds,
      orders: this.#sent,
      taken: this.#taken.size,
      shipped: this.#shipped,
      restarts: this.#restarts,
      noticedMsMax: Math.round(this.#noticedMsMax),
      orderNoticedMsMax: Math.round(this.#orderNoticedMsMax),
      violations: this.#violations,
    };
  }

  /** Ends all processes at once. */
  end(): void {
    this.#stopping.abort();
    for (const child of this.#children.values()) child.kill("SIGKILL");
  }

  #either<T>(a: T, b: T): T {
    return this.#options.random.fraction() < 0.5 ? a : b;
  }

  async #start(service: Service): Promise<void> {
    const { servers, heartbeatTimeoutMs } = this.#options;
    const env = { ...process.env, SERVICE: service, ZOOID_SERVERS: servers, BANK_FAILURES: "0.2", BANK_ANSWER_MS: "50" };
    const child = spawn(process.execPath, [built("examples/orders/run-service.js")], {
      env: { ...env, HEARTBEAT_TIMEOUT_MS: String(heartbeatTimeoutMs) },
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#children.set(service, child);
    if (service === "orders") this.#orders.clear();
    const lines = createInterface({ input: child.stdout }).on("line", (line) => this.#take(JSON.parse(line) as OrderEvent));
    this.#reading.push(once(lines, "close"));
    const before = this.#ready[service];
    await until(() => this.#ready[service] > before);
  }

  #take(event: OrderEvent): void {
    switch (event.event) {
      case "ready":
        this.#ready[event.service as Service] += 1;
        return;
      case "took": {
        const key = `${event.type} ${event.id}`;
        this.#taken.set(key, (this.#taken.get(key) ?? 0) + 1);
        return;
      }
      case "state":
        if (event.state === "shipped") this.#shipped += 1;
        if (event.actor.startsWith("orders/")) this.#orders.set(event.actor, event.state);
        return;
      case "lost":
        this.#orders.set(event.actor, "waiting");
        return;
      case "failed":
        if (event.next === "restart") this.#restarts += 1;
        else if (event.actor.startsWith("orders/") || event.actor === "payments/desk")
          this.#violations.push(`${event.actor} failed: ${event.reason}`);
    }
  }

  #watch(service: Service): void {
    this.#system.remote(addresses[service]).subscribe(
      () => {
        this.#reached[service] += 1;
        this.#isLost[service] = false;
      },
      () => {
        this.#lost[service].push(systemClock.monotonic());
        this.#isLost[service] = true;
      },
    );
  }

  /** Sends orders until the end, each once. */
  async #order(): Promise<void> {
    const clerk = this.#system.remote<typeof clerkMachine>("orders/clerk");
    const { signal } = this.#stopping;
    const run = Date.now().toString(36);
    const sending: Promise<void>[] = [];
    const isOpen = (state: string) => state !== "shipped";
    while (!signal.aborted) {
      await delay(systemClock, 40, signal).catch(() => undefined);
      // A busy machine gets no more orders than it can ship.
      if ([...this.#orders.values()].filter(isOpen).length >= ordersOpenMax) continue;
      const id = `${run}-${++this.#sent}`;
      const sent = clerk.send({ type: "ORDER", id, amount: 1 }).then(
        () => void this.#expected.set(id, [1]),
        (error: unknown) => {
          if (!(error instanceof ZooidError)) throw error;
          const isNotTaken = error instanceof NoActorError || (error instanceof ActorLostError && !error.isInDoubt);
          this.#expected.set(id, isNotTaken ? [0] : [0, 1]);
        },
      );
      sending.push(sent);
    }
    await Promise.all(sending);
  }

  /** Resolves when an order waits for its payment, so that a loss of the payments matters. */
  async #someOrders(): Promise<void> {
    await until(() => [...this.#orders.values()].some((state) => state.startsWith("paying")));
  }

  /** One signal: returns how long the customer took to notice the loss. */
  async #strike(service: Service, signal: "SIGKILL" | "SIGSTOP"): Promise<number> {
    const { heartbeatTimeoutMs, slackMs } = this.#options;
    const boundMs = heartbeatTimeoutMs + slackMs;
    const child = this.#children.get(service);
    // A service that a busy machine has kept waiting may be lost already.
    await until(() => !this.#isLost[service]);
    const paying = service === "payments" ? [...this.#orders].filter(([, state]) => state.startsWith("paying")).map(([path]) => path) : [];
    const reachedBefore = this.#reached[service];
    const lostBefore = this.#lost[service].length;
    const atMs = systemClock.monotonic();
    child?.kill(signal);
    // An order knows of its loss when it is no longer the same attempt, or has its receipt.
    const unaware = new Set(paying);
    const isSettled = () => {
      for (const path of unaware) {
        const state = this.#orders.get(path) ?? "";
        if (!state.startsWith("paying")) unaware.delete(path);
      }
      return unaware.size === 0;
    };
    const noticed = await this.#within(boundMs, () => this.#lost[service].length > lostBefore);
    const noticedMs = (this.#lost[service].at(-1) ?? Infinity) - atMs;
    if (noticed) this.#noticedMsMax = Math.max(this.#noticedMsMax, noticedMs);
    else this.#violations.push(`${signal} of ${service} was not noticed by the customer within ${boundMs} ms`);
    if (!(await this.#within(boundMs - (systemClock.monotonic() - atMs), isSettled)))
      this.#violations.push(`${signal} of payments was not noticed within ${boundMs} ms by ${[...unaware].join(", ")}`);
    if (service === "payments") this.#orderNoticedMsMax = Math.max(this.#orderNoticedMsMax, systemClock.monotonic() - atMs);
    if (signal === "SIGKILL") await this.#start(service);
    else child?.kill("SIGCONT");
    if (!(await this.#within(30_000, () => this.#reached[service] > reachedBefore)))
      this.#violations.push(`${service} was not reached again after ${signal}`);
    return noticedMs;
  }

  async #within(ms: number, holds: () => boolean): Promise<boolean> {
    const end = systemClock.monotonic() + Math.max(0, ms);
    while (!holds()) {
      if (systemClock.monotonic() > end) return false;
      await delay(systemClock, 5);
    }
    return true;
  }

  /** All orders of the running service are shipped in the end. */
  async #settle(): Promise<void> {
    const isShipped = () => [...this.#orders.values()].every((state) => state === "shipped");
    if (!(await this.#within(30_000, isShipped))) {
      const open = [...this.#orders].filter(([, state]) => state !== "shipped").map(([path, state]) => `${path} ${state}`);
      this.#violations.push(`orders are not shipped in the end: ${open.slice(0, 5).join(", ")}`);
    }
  }

  /** Ends both services. A service writes the line of an event before it answers, so that now all lines are read. */
  async #stopAll(): Promise<void> {
    for (const child of this.#children.values()) child.kill("SIGKILL");
    await Promise.all(this.#reading);
  }
}
