import type { Clock } from "../../../core/index.js";
import type { Report } from "./report.js";
import type { Running } from "./running.js";

export interface PartOptions {
  readonly name: string;
  /** Where it is to be found, for people. */
  readonly detail: string;
  readonly launch: () => Running;
  readonly clock: Clock;
  readonly report: Report;
}

/**
 * One of what `npm start` runs: broker, storage server, service. One that ends by itself is reported, and stays down until
 * it is started again.
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

  /** It was started, and does not take work yet. */
  get starting(): boolean {
    return this.#running !== undefined && !this.#ready;
  }

  /** Of the process it runs in, while it does. */
  get pid(): number | undefined {
    return this.#running?.pid;
  }

  /** Resolves when it takes work. Nothing happens when it runs already. */
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
      // It was told to end before it took work.
      if (this.#stopping) return;
      throw error;
    }
    this.#ready = true;
    report({ event: "part", part: name, state: "up", detail, ms: clock.monotonic() - startMs });
  }

  /** Resolves when it is gone. Nothing happens when it is not there. */
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

  /** Ends it, and waits for nothing. */
  kill(): void {
    this.#running?.kill();
  }

  /** From now on it misses what happens, and keeps what it has on disk: as a machine does that is put to sleep. */
  async sleep(): Promise<void> {
    await this.#running?.sleep();
  }

  /** Resolves when it may go on; connections to it may have to be made anew. */
  async wake(): Promise<void> {
    await this.#running?.wake();
  }
}
