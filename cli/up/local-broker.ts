import { type Clock, type Log } from "../../index.js";
import { type Broker, createBroker, serveBroker, type ServedBroker } from "../../transport/index.js";
import type { Door } from "./door.js";
import type { Part } from "./parts.js";
import type { Report } from "./report.js";

export interface LocalBrokerOptions {
  readonly door: Door;
  readonly clock: Clock;
  readonly log: Log;
  readonly report: Report;
}

/** The broker where there is no nats-server: inside this process, joined by the others through the door. */
export class LocalBroker implements Part {
  readonly name = "broker";
  readonly pid = process.pid;
  readonly starting = false;
  readonly #options: LocalBrokerOptions;
  #broker: Broker | undefined;
  #served: ServedBroker | undefined;

  constructor(options: LocalBrokerOptions) {
    this.#options = options;
  }

  get running(): boolean {
    return this.#broker?.running === true;
  }

  async start(): Promise<void> {
    if (this.running) return;
    const { door, clock, log, report } = this.#options;
    const startMs = clock.monotonic();
    if (this.#broker === undefined) {
      this.#broker = createBroker({ clock, log, address: door.url });
      this.#served = await serveBroker({ broker: this.#broker, server: door.server, clock, log });
    } else {
      this.#broker.start();
    }
    report({ event: "part", part: this.name, state: "up", detail: `in this process, at ${this.address}`, ms: clock.monotonic() - startMs });
  }

  async stop(): Promise<void> {
    if (!this.running) return;
    this.#broker?.stop();
    this.#options.report({ event: "part", part: this.name, state: "down", detail: "in this process", ms: 0 });
  }

  /** Where the others join. */
  get address(): string {
    return this.#options.door.url.replace(/^http/, "ws");
  }

  kill(): void {
    this.#broker?.stop();
    void this.#served?.close();
  }

  signal(): void {
    // It has no process of its own.
  }
}
