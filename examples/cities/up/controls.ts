import { type ActorSystem, createActorSystem, machineToMermaid, type Transport, untilStatus } from "../../../actors/index.js";
import { type Clock, systemRandom } from "../../../core/index.js";
import { actorsAnswerMs, drawCurrent, machineNamed, stateText } from "../../../cli/actors.js";
import { CommandError } from "../../../cli/failure.js";
import type { ControlActions } from "./control-server.js";
import type { Setup } from "./setup.js";
import type { Report } from "./report.js";
import { playScenario } from "./scenario.js";
import type { ServiceLink } from "./service-link.js";

/** Services notice at once that a server stopped or started; for a broker they need a redial. */
const noticeTimeoutMs = 5_000;

/** Realm of all parts. */
const realm = "zooid";

export interface ControlsOptions {
  readonly clock: Clock;
  readonly report: Report;
  /** Aborts when the command ends. No action begins after that. */
  readonly signal: AbortSignal;
  readonly quit: () => void;
}

/** The two services, and the keys of the cities that they have. */
export interface Joined {
  readonly a: ServiceLink;
  readonly b: ServiceLink;
  readonly transport: Transport;
  readonly keys: readonly string[];
}

/** Actions on the running parts, by keys and over HTTP. They run one after the other. */
export class Controls implements ControlActions {
  readonly #options: ControlsOptions;
  #setup: Setup | undefined;
  #joined: Joined | undefined;
  #line: Promise<unknown> = Promise.resolve();

  constructor(options: ControlsOptions) {
    this.#options = options;
  }

  /** Gives it the parts. Until then actions fail. */
  attach(setup: Setup): void {
    this.#setup = setup;
  }

  /** Gives it the services. Until then actions that need them fail. */
  join(joined: Joined): void {
    this.#joined = joined;
  }

  /** Runs `action` after the earlier actions. */
  inLine<T>(action: () => Promise<T>): Promise<T> {
    const done = this.#line.then(() => {
      this.#options.signal.throwIfAborted();
      return action();
    });
    this.#line = done.catch(() => undefined);
    return done;
  }

  /** Resolves when no action runs. */
  async settled(): Promise<void> {
    await this.#line;
  }

  /** Stops a part that was started, ready or not; else starts it. */
  async toggle(name: "server" | "broker"): Promise<void> {
    const part = this.#parts()[name];
    if (part.running) await this.inLine(() => part.stop());
    else await this.#start(name);
  }

  stop(name: "server" | "broker"): Promise<void> {
    return this.inLine(async () => {
      await this.#parts()[name].stop();
      await this.#untilNoticed();
    });
  }

  start(name: "server" | "broker"): Promise<void> {
    return this.#start(name).then(() => this.inLine(() => this.#untilNoticed()));
  }

  /**
   * Begins the start in line, but waits for it outside: a storage server waits for a broker, and the broker must be
   * startable meanwhile.
   */
  async #start(name: "server" | "broker"): Promise<void> {
    const { part } = await this.inLine(async () => {
      const { server, broker } = this.#parts();
      if (name === "server" && !broker.running && !server.running)
        this.#options.report({ event: "notice", text: "the storage server is started; it waits for the broker" });
      const starting = this.#parts()[name].start();
      // The caller of #start gets the error.
      starting.catch(() => undefined);
      return { part: starting };
    });
    await part;
  }

  scenario(): Promise<{ readonly key: string }> {
    return this.inLine(async () => {
      const { server, broker, services } = this.#parts();
      const { a, b, keys } = this.#services();
      const sleeper = {
        sleep: () => services[0].sleep(),
        wake: async () => {
          await services[0].wake();
          await a.open();
        },
      };
      const { clock, report, signal } = this.#options;
      const startMs = clock.monotonic();
      const { key } = await playScenario({ a, b, keys, server, broker, sleeper, clock, random: systemRandom, report, signal });
      report({ event: "scenario", city: key, ms: clock.monotonic() - startMs });
      return { key };
    });
  }

  async actors(): Promise<readonly { readonly path: string; readonly state: string }[]> {
    const views = await this.#withSystem((system) => system.list(actorsAnswerMs));
    return views.map(({ path, value }) => ({ path, state: stateText(value) }));
  }

  async machines(): Promise<string> {
    return (await this.actors()).map(({ path, state }) => `${path} ${state}\n`).join("");
  }

  async machine(name: string, of: string | undefined): Promise<string> {
    const machine = machineNamed(name);
    return of === undefined ? machineToMermaid(machine) : this.#withSystem((system) => drawCurrent({ system, realm }, name, of));
  }

  status(): object {
    const { broker, server, services, servers, urls } = this.#parts();
    const parts = [broker, server, ...services];
    return {
      servers,
      services: { A: urls.a, B: urls.b },
      running: Object.fromEntries(parts.map((part) => [part.name, part.running])),
      processes: Object.fromEntries(parts.map((part) => [part.name, part.pid ?? null])),
      connection: this.#joined === undefined ? {} : { A: this.#joined.a.connection, B: this.#joined.b.connection },
    };
  }

  quit(): void {
    this.#options.quit();
  }

  /**
   * Waits, for a bounded time, until the services and this process have noticed the change: later answers over HTTP
   * show it.
   */
  async #untilNoticed(): Promise<void> {
    const { server, broker } = this.#parts();
    const connected = server.running && broker.running;
    const signal = AbortSignal.any([this.#options.signal, AbortSignal.timeout(noticeTimeoutMs)]);
    if (this.#joined === undefined) return;
    const { a, b, transport } = this.#joined;
    await Promise.allSettled([
      a.untilConnected(connected, signal),
      b.untilConnected(connected, signal),
      untilStatus(transport, broker.running ? "connected" : "disconnected", signal),
    ]);
  }

  async #withSystem<T>(use: (system: ActorSystem) => Promise<T>): Promise<T> {
    const { transport } = this.#services();
    const system = createActorSystem({ realm, transport, clock: this.#options.clock, random: systemRandom });
    try {
      return await use(system);
    } finally {
      system.close();
    }
  }

  #parts(): Setup {
    return this.#setup ?? notReady();
  }

  #services(): Joined {
    return this.#joined ?? notReady();
  }
}

function notReady(): never {
  throw new CommandError("ZOOID_PART_FAILED", "not all parts are ready yet");
}
