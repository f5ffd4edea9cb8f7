import { join } from "node:path";
import { backOff } from "../../core/backoff.js";
import type { Clock } from "../../core/index.js";
import { Child } from "../cities/up/child.js";
import type { OrderEvent } from "./events.js";

/** The events of the services, and those of their processes. */
export type ShownEvent =
  | OrderEvent
  | { readonly event: "started"; readonly service: string; readonly pid: number }
  | { readonly event: "ended"; readonly service: string; readonly how: string; readonly restartInMs: number };

export interface KeptServiceOptions {
  readonly service: "orders" | "payments";
  readonly env: Readonly<Record<string, string>>;
  readonly logs: string;
  readonly clock: Clock;
  readonly show: (event: ShownEvent) => void;
}

const pace = { delayMsMin: 200, delayMsMax: 5_000 };
/** A process that has run for this time has not failed at its start. */
const soundAfterMs = 10_000;

/** Runs a service as a process, and starts it again when it ends, until it is stopped. */
export class KeptService {
  readonly #options: KeptServiceOptions;
  #child: Child | undefined;
  #failures = 0;
  #timer: unknown;
  #isStopped = false;

  constructor(options: KeptServiceOptions) {
    this.#options = options;
  }

  /** Resolves when the service is ready. Rejects with a CommandError when it cannot be started. */
  async start(): Promise<void> {
    const { service, env, logs, clock, show } = this.#options;
    const child = new Child({
      name: `service ${service}`,
      run: { module: new URL("./run-service.js", import.meta.url) },
      flags: [],
      env: { ...env, SERVICE: service },
      logFile: join(logs, `${service}.log`),
      isReady: (line) => this.#take(line),
      clock,
    });
    this.#child = child;
    const startedMs = clock.monotonic();
    show({ event: "started", service, pid: child.pid });
    void child.ended.then(({ how }) => {
      if (this.#isStopped) return;
      this.#failures = clock.monotonic() - startedMs > soundAfterMs ? 1 : this.#failures + 1;
      const restartInMs = backOff(this.#failures, pace);
      show({ event: "ended", service, how, restartInMs });
      this.#timer = clock.setTimeout(() => void this.start().catch(() => undefined), restartInMs);
    });
    await child.ready;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#options.clock.clearTimeout(this.#timer);
    await this.#child?.stop();
  }

  /** Ends it at once. */
  kill(): void {
    this.#child?.kill();
  }

  /** Shows a line of the service. Returns whether it says that the service is ready. */
  #take(line: string): boolean {
    try {
      const event = JSON.parse(line) as OrderEvent;
      if (typeof event.event === "string") this.#options.show(event);
      return event.event === "ready";
    } catch {
      return false;
    }
  }
}
