import { extname, relative } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { connect } from "../../../index.js";
import { systemClock } from "../../../core/index.js";
import { openTransport } from "../../../actors/index.js";
import { defaultAddresses, logOf } from "../../../cli/connection.js";
import { Interrupted } from "../../../cli/failure.js";
import type { Surroundings } from "../../../cli/surroundings.js";
import { type Cities, readCities } from "./cities.js";
import { Controls } from "./controls.js";
import { type ControlServer, openControlServer } from "./control-server.js";
import { importCities } from "./import-cities.js";
import { type Keys, listenForKeys } from "./keys.js";
import { createSetup, type Setup } from "./setup.js";
import { type Report, type UpEvent, upLines } from "./report.js";
import { commandsByHand } from "./scenario.js";
import { ServiceLink } from "./service-link.js";
import type { UpFlags } from "./up-flags.js";

/** Signals within this are one: npm passes Ctrl-C on to a process that the terminal has told already. */
const samePressMs = 500;

/** Runs everything until it is told to end: by a signal, a key, or a request. */
export async function runUp(flags: UpFlags, surroundings: Surroundings): Promise<void> {
  const up = new Up(flags, surroundings);
  try {
    await up.run();
  } catch (error) {
    // What was under way when it was told to end did not fail.
    if (!up.isToldToQuit && !up.isInterruptedWhenReady) throw error;
  } finally {
    await up.end();
  }
}

class Up {
  readonly #flags: UpFlags;
  readonly #out: Surroundings["out"];
  readonly #quitting = new AbortController();
  readonly #signal: AbortSignal;
  readonly #controls: Controls;
  readonly #clock = systemClock;
  readonly #log = logOf({ logLevel: "fatal" });
  /** What is closed at the end, last opened first. */
  readonly #opened: (() => Promise<void> | void)[] = [];
  readonly #startMs = systemClock.monotonic();
  #setup: Setup | undefined;
  #keys: Keys | undefined;
  #toldAtMs = 0;
  #isReady = false;

  constructor(flags: UpFlags, { out, signal }: Surroundings) {
    this.#flags = flags;
    this.#out = out;
    this.#signal = AbortSignal.any([signal, this.#quitting.signal]);
    this.#controls = new Controls({ clock: this.#clock, report: this.#report, signal: this.#signal, quit: () => this.#quit() });
  }

  /** By a key or a request; not by a signal. */
  get isToldToQuit(): boolean {
    return this.#quitting.signal.aborted;
  }

  /** A signal ends what runs as it is meant to end; before, it calls off a start. */
  get isInterruptedWhenReady(): boolean {
    return this.#isReady && this.#signal.aborted;
  }

  async run(): Promise<void> {
    for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, this.#onSignal);
    this.#signal.addEventListener("abort", () => (this.#toldAtMs = this.#clock.monotonic()), { once: true });
    const control = await openControlServer(this.#flags.controlPort, this.#controls);
    this.#opened.push(() => control.close());
    const deps = { control, clock: this.#clock, log: this.#log, report: this.#report, environment: process.env };
    const setup = await createSetup({ flags: this.#flags, ...deps });
    this.#setup = setup;
    this.#controls.attach(setup);
    if (setup.missing !== undefined) this.#report({ event: "notice", text: setup.missing });
    const starting = this.#controls.inLine(() => this.#start(setup));
    // What has not started when a signal comes is not waited for, nor is how it fails then.
    await Promise.race([starting, this.#aborted()]);
    starting.catch(() => undefined);
    this.#signal.throwIfAborted();
    const { servers, urls } = setup;
    const ms = this.#clock.monotonic() - this.#startMs;
    this.#isReady = true;
    this.#report({ event: "ready", ms, servers, control: control.url, services: { A: urls.a, B: urls.b } });
    if (this.#flags.cities > 0) await this.#showScenario(setup, control);
    if (this.#flags.once === true) return;
    this.#listen();
    await this.#aborted();
  }

  async #aborted(): Promise<void> {
    if (!this.#signal.aborted) await new Promise((resolve) => this.#signal.addEventListener("abort", resolve, { once: true }));
  }

  /** Stops services, storage server and broker, in that order. */
  async end(): Promise<void> {
    this.#quitting.abort(new Interrupted("SIGTERM"));
    this.#keys?.close();
    const startMs = this.#clock.monotonic();
    const setup = this.#setup;
    if (setup !== undefined) {
      this.#report({ event: "stopping" });
      const parts = [...setup.services, setup.server, setup.broker];
      // What has not started yet is not waited for.
      for (const part of parts.filter(({ starting }) => starting)) part.kill();
      await this.#controls.settled();
      await Promise.all(setup.services.map((service) => service.stop()));
      await setup.server.stop();
      await setup.broker.stop();
      for (const part of parts) part.kill();
    }
    for (const close of this.#opened.splice(0).toReversed()) await close();
    if (setup !== undefined) this.#report({ event: "stopped", ms: this.#clock.monotonic() - startMs });
    for (const name of ["SIGINT", "SIGTERM"] as const) process.off(name, this.#onSignal);
  }

  readonly #report: Report = (event: UpEvent) => {
    if (this.#flags.json === true) void this.#out.json(event, rounded);
    else for (const line of upLines(event)) void this.#out.line(line);
  };

  readonly #onSignal = (): void => {
    if (!this.#signal.aborted || this.#clock.monotonic() - this.#toldAtMs < samePressMs) return;
    // The second Ctrl-C: whoever asks twice does not want to wait.
    const setup = this.#setup;
    for (const part of setup === undefined ? [] : [...setup.services, setup.server, setup.broker]) part.kill();
    this.#keys?.close();
    process.exit(130);
  };

  async #start(setup: Setup): Promise<void> {
    await setup.broker.start();
    this.#signal.throwIfAborted();
    // Processes start together: what takes time is loading the programs, and services connect as soon as the server is heard.
    const serving = setup.server.start();
    if (setup.isOneProcess) await serving;
    this.#signal.throwIfAborted();
    const joining = setup.services.map((service) => service.start());
    const cities = this.#flags.cities > 0 ? readCities(this.#flags.cities) : undefined;
    await Promise.all([serving.then(() => this.#import(setup, cities)), ...joining]);
    this.#signal.throwIfAborted();
    const [a, b] = [new ServiceLink(setup.urls.a), new ServiceLink(setup.urls.b)];
    this.#opened.push(
      () => a.close(),
      () => b.close(),
    );
    await Promise.all([a.open(), b.open()]);
    const transport = await openTransport({ servers: setup.servers, name: "cities", log: this.#log });
    this.#opened.push(() => transport.close());
    this.#controls.join({ a, b, transport, keys: cities?.rows.map(({ key }) => key) ?? [] });
  }

  async #import({ servers }: Setup, cities: Cities | undefined): Promise<void> {
    if (cities === undefined) return;
    await using store = await connect({ servers, client: "import", cache: "transient", log: this.#log });
    await importCities({ store, cities, clock: this.#clock, signal: this.#signal, report: this.#report });
  }

  async #showScenario({ urls, servers }: Setup, control: ControlServer): Promise<void> {
    try {
      const { key } = await this.#controls.scenario();
      this.#report({ event: "byHand", commands: commandsByHand({ ...urls, control: control.url }, key, zooidAt(servers)) });
    } catch (error) {
      if (this.#signal.aborted || this.#flags.once === true) throw error;
      this.#tellError(error);
    }
  }

  #listen(): void {
    if (!process.stdin.isTTY || this.#flags.json === true) return;
    this.#report(keysEvent);
    this.#keys = listenForKeys(process.stdin, (key) => {
      this.#press(key).catch((error: unknown) => {
        // What is called off at the end did not fail.
        if (!this.#signal.aborted) this.#tellError(error);
      });
    });
  }

  async #press(key: string): Promise<void> {
    switch (key) {
      case "s":
        return this.#controls.toggle("server");
      case "b":
        return this.#controls.toggle("broker");
      case "m":
        this.#report({ event: "machines", actors: await this.#controls.actors() });
        return;
      case "q":
      case "\u0003":
        this.#quit();
        return;
      default:
        this.#report(keysEvent);
    }
  }

  #quit(): void {
    this.#quitting.abort(new Interrupted("SIGTERM"));
  }

  #tellError(error: unknown): void {
    this.#report({ event: "notice", text: error instanceof Error ? error.message : String(error) });
  }
}

const keysEvent: UpEvent = {
  event: "keys",
  keys: { s: "stop or start the storage server", b: "the broker", m: "machines", q: "quit" },
};

/** Times to a microsecond: more digits say nothing. */
function rounded(_: string, value: unknown): unknown {
  return typeof value === "number" && !Number.isInteger(value) ? Math.round(value * 1_000) / 1_000 : value;
}

/** How a command that joins `servers` is called from the folder we were called in, whether we are installed, built or neither. */
function zooidAt(servers: string): (words: string) => string {
  const command = new URL(`../../../cli/zooid${extname(import.meta.url)}`, import.meta.url);
  const path = relative(process.cwd(), fileURLToPath(command));
  const file = /^[\w./-]+$/.test(path) ? path : JSON.stringify(path);
  const isFoundByItself = Object.values<string>(defaultAddresses).includes(servers);
  return (words) => ["node", ...process.execArgv, file, words, ...(isFoundByItself ? [] : ["--servers", servers])].join(" ");
}
