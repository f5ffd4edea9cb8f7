/** Processes of a bench: the bench starts them, asks them questions and ends them. */
import { execFileSync, fork, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Resources that a process has used since it began. */
export interface Usage {
  readonly cpuMicros: number;
  /** Resident memory without the pages of mapped data files, in bytes. */
  readonly residentBytes: number;
}

/** A process that answers questions: a bench/*-process at the other end of a channel. */
export interface BenchProcess {
  ask<T>(question: string, details?: unknown): Promise<T>;
  usage(): Promise<Usage>;
  stop(): Promise<void>;
}

/** Set-up of a bench's broker. */
export interface BrokerOptions {
  /** JetStream that syncs at its own pace, or before each acknowledgement. Default: no JetStream. */
  readonly jetstream?: "default" | "always";
}

/** This nats-server does not know a setting. */
export class UnknownToBroker extends Error {}

/** The folder, broker and processes of one bench. `close` ends them all. */
export class Bench {
  readonly folder = mkdtempSync(join(tmpdir(), "zooid-bench-"));
  readonly #children: ChildProcess[] = [];
  url = "";

  static async open({ jetstream }: BrokerOptions = {}): Promise<Bench> {
    const bench = new Bench();
    const port = await freePort();
    const config = join(bench.folder, "broker.conf");
    const sync = jetstream === "always" ? ", sync_interval: always" : "";
    writeFileSync(
      config,
      jetstream === undefined ? "" : `jetstream { store_dir: ${JSON.stringify(join(bench.folder, "broker"))}${sync} }\n`,
    );
    const broker = spawn(natsServer(), ["-c", config, "-a", "127.0.0.1", "-p", String(port)], { stdio: ["ignore", "ignore", "pipe"] });
    bench.#children.push(broker);
    let said = "";
    try {
      await new Promise<void>((resolve, reject) => {
        broker.once("exit", () => {
          const unknown = said.includes("unknown field");
          reject(
            unknown
              ? new UnknownToBroker(`this nats-server does not know the setting: ${said.trim()}`)
              : new Error("nats-server ended at its start"),
          );
        });
        broker.stderr.on("data", (text: Buffer) => {
          said += text.toString();
          if (said.includes("Server is ready")) resolve();
        });
      });
    } catch (error) {
      await bench.close();
      throw error;
    }
    bench.url = `nats://127.0.0.1:${port}`;
    return bench;
  }

  /** Starts `bench/<name>-process`. Resolves when the process reports that it is ready. */
  async start(name: string, details: object = {}): Promise<BenchProcess> {
    const file = fileURLToPath(new URL(`./${name}-process.js`, import.meta.url));
    const child = fork(file, [JSON.stringify({ url: this.url, folder: this.folder, ...details })]);
    this.#children.push(child);
    const waiting = new Map<number, (answer: unknown) => void>();
    let asked = 0;
    const ready = new Promise<void>((resolve, reject) => {
      child.on("message", (message: { readonly ready?: true; readonly to?: number; readonly answer?: unknown }) => {
        if (message.ready === true) resolve();
        if (message.to !== undefined) waiting.get(message.to)?.(message.answer);
      });
      child.once("exit", (code) => {
        reject(new Error(`${name} ended with ${code}`));
      });
    });
    await ready;
    const ask = <T>(question: string, details?: unknown): Promise<T> =>
      new Promise((resolve) => {
        const to = ++asked;
        waiting.set(to, (answer) => {
          waiting.delete(to);
          resolve(answer as T);
        });
        child.send({ to, question, details });
      });
    return { ask, usage: () => ask<Usage>("usage"), stop: () => end(child) };
  }

  async close(): Promise<void> {
    for (const child of this.#children.reverse()) await end(child);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The other end of a process: answers questions with the results of `answers`. */
export function answer(answers: Readonly<Record<string, (details: never) => unknown>>): void {
  process.on("message", (message: { readonly to: number; readonly question: string; readonly details: never }) => {
    const given = message.question === "usage" ? usage() : answers[message.question]?.(message.details);
    void Promise.resolve(given).then((answer) => process.send?.({ to: message.to, answer }));
  });
  process.once("disconnect", () => process.exit());
  process.send?.({ ready: true });
}

/** Details with which the process was started. */
export function processDetails<T>(): T & { readonly url: string; readonly folder: string } {
  return JSON.parse(process.argv[2] ?? "{}") as T & { readonly url: string; readonly folder: string };
}

function usage(): Usage {
  const { user, system } = process.cpuUsage();
  return { cpuMicros: user + system, residentBytes: process.memoryUsage.rss() - mappedResidentBytes() };
}

/** Resident bytes of mapped LMDB files, from the kernel's list of mappings. */
function mappedResidentBytes(): number {
  let inData = false;
  let kib = 0;
  for (const line of readFileSync("/proc/self/smaps", "utf8").split("\n")) {
    if (/^[0-9a-f]+-[0-9a-f]+ /.test(line)) inData = /\.(mdb|lmdb)(-lock)?$/.test(line) || line.endsWith("/data");
    else if (inData && line.startsWith("Rss:")) kib += Number(/\d+/.exec(line)?.[0] ?? 0);
  }
  return kib * 1024;
}

/** Path of the nats-server to use. Without one, prints how to get one and throws. */
function natsServer(): string {
  return execFileSync(process.execPath, ["scripts/nats-server.mjs"], { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] }).trim();
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  // A process ends by itself when its channel closes, in an orderly way, so that it can be profiled.
  if (child.connected) child.disconnect();
  else child.kill("SIGTERM");
  await exited;
}
