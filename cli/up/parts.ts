import type { Clock } from "../../index.js";
import type { Child, Ending } from "./child.js";
import type { Report } from "./report.js";

/** One of what `zooid up` runs: broker, storage server, service. */
export interface Part {
  readonly name: string;
  readonly running: boolean;
  /** It was started, and does not take work yet. */
  readonly starting: boolean;
  /** Of its process, while it has one. */
  readonly pid: number | undefined;
  /** Resolves when it takes work. Nothing happens when it runs already. */
  start(): Promise<void>;
  /** Resolves when it is gone. Nothing happens when it is not there. */
  stop(): Promise<void>;
  /** Ends it at once. */
  kill(): void;
  /** A signal for its process, if it has one. */
  signal(signal: NodeJS.Signals): void;
}

export interface ProcessPartOptions {
  readonly name: string;
  /** Where it is to be found, for people. */
  readonly detail: string;
  readonly launch: () => Child;
  readonly clock: Clock;
  readonly report: Report;
}

/** A part that is a process. One that ends by itself is reported and stays down until it is started again. */
export class ProcessPart implements Part {
  readonly name: string;
  readonly #options: ProcessPartOptions;
  #child: Child | undefined;
  #ready = false;
  #stopping = false;

  constructor(options: ProcessPartOptions) {
    this.name = options.name;
    this.#options = options;
  }

  get running(): boolean {
    return this.#child !== undefined;
  }

  get starting(): boolean {
    return this.#child !== undefined && !this.#ready;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  async start(): Promise<void> {
    if (this.#child !== undefined) return;
    const { clock, report, launch, name, detail } = this.#options;
    const startMs = clock.monotonic();
    const child = launch();
    this.#child = child;
    this.#stopping = false;
    this.#ready = false;
    void child.ended.then((ending) => {
      if (this.#child === child) this.#child = undefined;
      if (this.#ready && !this.#stopping) report({ event: "ended", part: name, detail: endingText(ending) });
    });
    try {
      await child.ready;
    } catch (error) {
      child.kill();
      await child.ended;
      throw error;
    }
    this.#ready = true;
    report({ event: "part", part: name, state: "up", detail, ms: clock.monotonic() - startMs });
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    const { clock, report, name, detail } = this.#options;
    this.#stopping = true;
    const startMs = clock.monotonic();
    const ending = await child.stop();
    const how = ending.signal === "SIGKILL" ? `${detail}, killed: it did not close in time` : detail;
    report({ event: "part", part: name, state: "down", detail: how, ms: clock.monotonic() - startMs });
  }

  kill(): void {
    this.#child?.kill();
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.signal(signal);
  }
}

function endingText({ code, signal }: Ending): string {
  return signal === null ? `exit code ${code}` : signal;
}
