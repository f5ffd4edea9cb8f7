import process from "node:process";
import { createActorSystem } from "../../actors/index.js";
import { connect, systemChance, systemClock } from "../../index.js";
import { openTransport, type Transport } from "../../transport/index.js";
import { actorsAnswerMs, drawCurrent, machineNamed, stateText } from "../actors.js";
import { logOf } from "../connection.js";
import { machineToMermaid } from "../../actors/index.js";
import { Interrupted } from "../failure.js";
import type { Surroundings } from "../surroundings.js";
import { type Cities, readCities } from "./cities.js";
import { type Door, openDoor } from "./door.js";
import { importCities } from "./import-cities.js";
import { type Keys, listenForKeys } from "./keys.js";
import { createPlace, type Place } from "./place.js";
import { type Report, type UpEvent, upLines } from "./report.js";
import { commandsByHand, playScenario } from "./scenario.js";
import { ServiceLink } from "./service-link.js";
import type { UpFlags } from "./up-flags.js";

/** Signals within this are one: npm passes Ctrl-C on to a process that the terminal has told already. */
const samePressMs = 500;

/** Services notice a server that stopped or started at once, a broker within a redial. */
const noticeTimeoutMs = 5_000;

/** Runs everything until it is told to end, by a signal, a key or the door. */
export async function runUp(flags: UpFlags, surroundings: Surroundings): Promise<void> {
  const up = new Up(flags, surroundings);
  try {
    await up.run();
  } finally {
    await up.end();
  }
}

class Up {
  readonly #flags: UpFlags;
  readonly #out: Surroundings["out"];
  readonly #signal: AbortSignal;
  readonly #ending = new AbortController();
  readonly #clock = systemClock;
  readonly #log = logOf({ logLevel: "fatal" });
  readonly #startMs = systemClock.monotonic();
  #door: Door | undefined;
  #place: Place | undefined;
  #keys: Keys | undefined;
  #transport: Transport | undefined;
  #links: { readonly a: ServiceLink; readonly b: ServiceLink } | undefined;
  #cities: Cities | undefined;
  /** What is done to the parts is done one after the other. */
  #line: Promise<unknown> = Promise.resolve();
  #endedAt = 0;

  constructor(flags: UpFlags, { out, signal }: Surroundings) {
    this.#flags = flags;
    this.#out = out;
    this.#signal = AbortSignal.any([signal, this.#ending.signal]);
  }

  async run(): Promise<void> {
    for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, this.#onSignal);
    this.#signal.addEventListener("abort", () => (this.#endedAt = this.#clock.monotonic()), { once: true });
    this.#door = await openDoor(this.#flags.doorPort, this.#doorActions());
    const around = { door: this.#door, clock: this.#clock, log: this.#log, report: this.#report, environment: process.env };
    const place = await createPlace({ flags: this.#flags, ...around });
    this.#place = place;
    if (place.missing !== undefined) this.#report({ event: "notice", text: place.missing });
    await this.#inLine(async () => {
      await place.broker.start();
      // Together: what takes time is loading the programs, and the services connect as soon as the server is heard.
      const serving = place.server.start();
      const joining = place.services.map((service) => service.start());
      if (this.#flags.cities > 0) this.#cities = readCities(this.#flags.cities);
      await Promise.all([serving.then(() => this.#import(place)), ...joining]);
      await this.#joinServices(place);
    });
    this.#report({
      event: "ready",
      ms: this.#clock.monotonic() - this.#startMs,
      servers: place.servers,
      door: this.#door.url,
      services: { A: place.urls.a, B: place.urls.b },
    });
    if (this.#cities !== undefined) await this.#showScenario(place, this.#door);
    if (this.#flags.once === true) return;
    this.#listen();
    await aborted(this.#signal);
  }

  /** Stops services, storage server and broker, in that order. */
  async end(): Promise<void> {
    this.#keys?.close();
    const startMs = this.#clock.monotonic();
    if (this.#place !== undefined) this.#report({ event: "stopping" });
    this.#ending.abort(new Interrupted("SIGTERM"));
    await this.#line.catch(() => undefined);
    this.#links?.a.close();
    this.#links?.b.close();
    await this.#transport?.close();
    const place = this.#place;
    if (place !== undefined) {
      await Promise.all(place.services.map((service) => service.stop()));
      await place.server.stop();
      await place.broker.stop();
      place.broker.kill();
    }
    await this.#door?.close();
    if (place !== undefined) this.#report({ event: "stopped", ms: this.#clock.monotonic() - startMs });
    for (const name of ["SIGINT", "SIGTERM"] as const) process.off(name, this.#onSignal);
  }

  readonly #report: Report = (event: UpEvent) => {
    if (this.#flags.json === true) void this.#out.json(event, rounded);
    else for (const line of upLines(event)) void this.#out.line(line);
  };

  readonly #onSignal = (): void => {
    if (!this.#signal.aborted || this.#clock.monotonic() - this.#endedAt < samePressMs) return;
    this.#killAll();
  };

  /** The second Ctrl-C: whoever asks twice does not want to wait. */
  #killAll(): never {
    const place = this.#place;
    for (const part of place === undefined ? [] : [...place.services, place.server, place.broker]) part.kill();
    this.#keys?.close();
    process.exit(130);
  }

  async #import({ servers }: Place): Promise<void> {
    if (this.#cities === undefined) return;
    await using store = await connect({ servers, client: "import", cache: "transient", log: this.#log });
    await importCities({ store, cities: this.#cities, clock: this.#clock, signal: this.#signal, report: this.#report });
  }

  async #joinServices({ servers, urls }: Place): Promise<void> {
    this.#links = { a: new ServiceLink(urls.a), b: new ServiceLink(urls.b) };
    await Promise.all([this.#links.a.open(), this.#links.b.open()]);
    this.#transport = await openTransport({ servers, name: "zooid up", log: this.#log });
  }

  async #showScenario(place: Place, door: Door): Promise<void> {
    try {
      const { key } = await this.#playScenario();
      this.#report({ event: "byHand", commands: commandsByHand({ ...place.urls, door: door.url }, key) });
    } catch (error) {
      if (this.#signal.aborted || this.#flags.once === true) throw error;
      this.#report({ event: "notice", text: error instanceof Error ? error.message : String(error) });
    }
  }

  #playScenario(): Promise<{ readonly key: string }> {
    return this.#inLine(async () => {
      const { server, services } = this.#parts();
      const { a, b } = this.#links ?? notReady();
      const keys = (this.#cities ?? notReady()).rows.map(({ key }) => key);
      const startMs = this.#clock.monotonic();
      const around = { clock: this.#clock, chance: systemChance, report: this.#report, signal: this.#signal };
      const { key } = await playScenario({ a, b, keys, server, sleeper: services[0], ...around });
      this.#report({ event: "scenario", city: key, ok: true, ms: this.#clock.monotonic() - startMs });
      return { key };
    });
  }

  #listen(): void {
    const keys = { s: "stop or start the storage server", b: "the broker", m: "machines", q: "quit" };
    if (!process.stdin.isTTY || this.#flags.json === true) return;
    this.#report({ event: "keys", keys });
    this.#keys = listenForKeys(process.stdin, (key) => void this.#press(key).catch((error: unknown) => this.#tellError(error)));
  }

  async #press(key: string): Promise<void> {
    const { server, broker } = this.#parts();
    const toggle = (part: Place["server"]) => this.#inLine(() => (part.running ? part.stop() : part.start()));
    switch (key) {
      case "s":
        return toggle(server);
      case "b":
        return toggle(broker);
      case "m":
        this.#report({ event: "machines", actors: await this.#actors() });
        return;
      case "q":
      case "\u0003":
        if (this.#signal.aborted) this.#onSignal();
        else this.#ending.abort(new Interrupted("SIGINT"));
        return;
    }
  }

  #tellError(error: unknown): void {
    this.#report({ event: "notice", text: error instanceof Error ? error.message : String(error) });
  }

  async #actors(): Promise<readonly { readonly path: string; readonly state: string }[]> {
    const views = await this.#withSystem((system) => system.list(actorsAnswerMs));
    return views.map(({ path, value }) => ({ path, state: stateText(value) }));
  }

  async #withSystem<T>(use: (system: ReturnType<typeof createActorSystem>) => Promise<T>): Promise<T> {
    const transport = this.#transport ?? notReady();
    const system = createActorSystem({ realm: "zooid", transport, clock: this.#clock, chance: systemChance });
    try {
      return await use(system);
    } finally {
      system.close();
    }
  }

  #doorActions() {
    const partOf = (name: "server" | "broker") => this.#parts()[name];
    return {
      status: () => this.#status(),
      machines: async () => (await this.#actors()).map(({ path, state }) => `${path} ${state}\n`).join(""),
      machine: async (name: string, of: string | undefined) =>
        of === undefined ? machineToMermaid(machineNamed(name)) : this.#withSystem((system) => drawCurrent(system, name, of)),
      stop: (name: "server" | "broker") =>
        this.#inLine(() =>
          partOf(name)
            .stop()
            .then(() => this.#untilNoticed(false)),
        ),
      start: (name: "server" | "broker") =>
        this.#inLine(() =>
          partOf(name)
            .start()
            .then(() => this.#untilNoticed()),
        ),
      scenario: () => this.#playScenario(),
      quit: () => this.#ending.abort(new Interrupted("SIGTERM")),
    };
  }

  /** Whoever asked through the door finds the services as they are then; what does not come in time is not waited for. */
  async #untilNoticed(connected = this.#parts().server.running && this.#parts().broker.running): Promise<void> {
    const signal = AbortSignal.any([this.#signal, AbortSignal.timeout(noticeTimeoutMs)]);
    const links = this.#links === undefined ? [] : [this.#links.a, this.#links.b];
    await Promise.allSettled(links.map((link) => link.untilConnected(connected, signal)));
  }

  #status(): object {
    const { broker, server, services, servers, urls } = this.#parts();
    return {
      servers,
      door: this.#door?.url,
      services: { A: urls.a, B: urls.b },
      running: Object.fromEntries([broker, server, ...services].map((part) => [part.name, part.running])),
      processes: Object.fromEntries([broker, server, ...services].map((part) => [part.name, part.pid ?? null])),
      connection: this.#links === undefined ? {} : { A: this.#links.a.connection, B: this.#links.b.connection },
    };
  }

  #parts(): Place {
    return this.#place ?? notReady();
  }

  #inLine<T>(action: () => Promise<T>): Promise<T> {
    const done = this.#line.then(() => {
      this.#signal.throwIfAborted();
      return action();
    });
    this.#line = done.catch(() => undefined);
    return done;
  }
}

/** Times to a microsecond: more digits say nothing. */
function rounded(_: string, value: unknown): unknown {
  return typeof value === "number" && !Number.isInteger(value) ? Math.round(value * 1_000) / 1_000 : value;
}

function notReady(): never {
  throw new Error("not ready yet");
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
