import type { Clock } from "../../../core/index.js";
import type { Report } from "./report.js";
import type { Running } from "./running.js";

export interface PartOptions {
  readonly name: string;
  /** Its address or folder, for people. */
  readonly detail: string;
  readonly launch: () => Running;
  readonly clock: Clock;
  readonly report: Report;
}

/**
 * A part of `npm start`: broker, storage server or service. A part that ends by itself is reported, and stays down
 * until it is started again.
 */
export class Part {
  readonly name: string;
  readonly #options: PartOptions;
  #running: Running | undefined;
  #ready = false;
  #stopping = false;

  constructor(options: PartOptions) {
    this.name = options.name;
    this.#options = options;
  }

  get running(): boolean {
    return this.#running !== undefined;
  }

  /** It was started, and is not ready yet. */
  get starting(): boolean {
    return this.#running !== undefined && !this.#ready;
  }

  /** Id of its process, while it runs. */
  get pid(): number | undefined {
    return this.#running?.pid;
  }

  /** Resolves when it is ready. Does nothing when it runs already. */
  async start(): Promise<void> {
    if (this.#running !== undefined) return;
    const { clock, report, launch, name, detail } = this.#options;
    const startMs = clock.monotonic();
    const running = launch();
    this.#running = running;
    this.#stopping = false;
    this.#ready = false;
    void running.ended.then(({ how }) => {
      if (this.#running === running) this.#running = undefined;
      if (this.#ready && !this.#stopping) report({ event: "ended", part: name, detail: how });
    });
    try {
      await running.ready;
    } catch (error) {
      running.kill();
      await running.ended;
      // `stop` was called before it was ready.
      if (this.#stopping) return;
      throw error;
    }
    this.#ready = true;
    report({ event: "part", part: name, state: "up", detail, ms: clock.monotonic() - startMs });
  }

  /** Resolves when it is gone. Does nothing when it does not run. */
  async stop(): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    const { clock, report, name, detail } = this.#options;
    this.#stopping = true;
    if (!this.#ready) running.callOff();
    const startMs = clock.monotonic();
    const { wasKilled } = await running.stop();
    const how = wasKilled ? `${detail}, killed: it did not close in time` : detail;
    report({ event: "part", part: name, state: "down", detail: how, ms: clock.monotonic() - startMs });
  }

  /** Ends it at once, without waiting. */
  kill(): void {
    this.#running?.kill();
  }

  /** Suspends it, as a laptop that is closed: it misses messages, and keeps its files. */
  async sleep(): Promise<void> {
    await this.#running?.sleep();
  }

  /** Resolves when it runs again. Connections to it may have to be opened again. */
  async wake(): Promise<void> {
    await this.#running?.wake();
  }
}
