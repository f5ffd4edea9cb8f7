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

/** Signals within this time count as one: both the terminal and npm send the signal of a single Ctrl-C. */
const samePressMs = 500;

/** Runs all parts until a signal, a key or a request ends them. */
export async function runUp(flags: UpFlags, surroundings: Surroundings): Promise<void> {
  const up = new Up(flags, surroundings);
  try {
    await up.run();
  } catch (error) {
    // An action that is interrupted by the end of the command is no failure.
    if (!up.isQuitting && !up.isInterruptedWhenReady) throw error;
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
  /** Closed at the end, in reverse order. */
  readonly #opened: (() => Promise<void> | void)[] = [];
  readonly #startMs = systemClock.monotonic();
  #setup: Setup | undefined;
  #keys: Keys | undefined;
  #abortedAtMs = 0;
  #isReady = false;

  constructor(flags: UpFlags, { out, signal }: Surroundings) {
    this.#flags = flags;
    this.#out = out;
    this.#signal = AbortSignal.any([signal, this.#quitting.signal]);
    this.#controls = new Controls({ clock: this.#clock, report: this.#report, signal: this.#signal, quit: () => this.#quit() });
  }

  /** A key or a request, not a signal, has ended it. */
  get isQuitting(): boolean {
    return this.#quitting.signal.aborted;
  }

  /** A signal has ended it after it was ready, which is a normal end. Before that, a signal calls off the start. */
  get isInterruptedWhenReady(): boolean {
    return this.#isReady && this.#signal.aborted;
  }

  async run(): Promise<void> {
    for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, this.#onSignal);
    this.#signal.addEventListener("abort", () => (this.#abortedAtMs = this.#clock.monotonic()), { once: true });
    const control = await openControlServer(this.#flags.controlPort, this.#controls);
    this.#opened.push(() => control.close());
    const deps = { control, clock: this.#clock, log: this.#log, report: this.#report, environment: process.env };
    const setup = await createSetup({ flags: this.#flags, ...deps });
    this.#setup = setup;
    this.#controls.attach(setup);
    if (setup.missing !== undefined) this.#report({ event: "notice", text: setup.missing });
    const starting = this.#controls.inLine(() => this.#start(setup));
    // After a signal, neither the start nor its failure is awaited.
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
      // Parts that are not ready are killed, not awaited.
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
    if (!this.#signal.aborted || this.#clock.monotonic() - this.#abortedAtMs < samePressMs) return;
    // A second Ctrl-C ends everything at once.
    const setup = this.#setup;
    for (const part of setup === undefined ? [] : [...setup.services, setup.server, setup.broker]) part.kill();
    this.#keys?.close();
    process.exit(130);
  };

  async #start(setup: Setup): Promise<void> {
    await setup.broker.start();
    this.#signal.throwIfAborted();
    // Processes start together, because loading the programs takes the time. Services connect once they hear the
    // server.
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
      this.#reportError(error);
    }
  }

  #listen(): void {
    if (!process.stdin.isTTY || this.#flags.json === true) return;
    this.#report(keysEvent);
    this.#keys = listenForKeys(process.stdin, (key) => {
      this.#press(key).catch((error: unknown) => {
        // An action that is interrupted by the end of the command is no failure.
        if (!this.#signal.aborted) this.#reportError(error);
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

  #reportError(error: unknown): void {
    this.#report({ event: "notice", text: error instanceof Error ? error.message : String(error) });
  }
}

const keysEvent: UpEvent = {
  event: "keys",
  keys: { s: "stop or start the storage server", b: "the broker", m: "machines", q: "quit" },
};

/** Rounds times to microseconds. */
function rounded(_: string, value: unknown): unknown {
  return typeof value === "number" && !Number.isInteger(value) ? Math.round(value * 1_000) / 1_000 : value;
}

/**
 * Writes a `zooid` command line that joins `servers`, for the current folder. Works installed, built or from the
 * sources.
 */
function zooidAt(servers: string): (words: string) => string {
  const command = new URL(`../../../cli/zooid${extname(import.meta.url)}`, import.meta.url);
  const path = relative(process.cwd(), fileURLToPath(command));
  const file = /^[\w./-]+$/.test(path) ? path : JSON.stringify(path);
  // Without --servers the command prefers a NATS server at the default address, which may be another one than ours.
  const flags = servers === defaultAddresses.nats ? [] : ["--servers", servers];
  return (words) => ["node", ...process.execArgv, file, words, ...flags].join(" ");
}
