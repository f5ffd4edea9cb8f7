import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { jetStreamConfig } from "../../../support/nats-buses.js";
import { type NatsServer, startNatsServer } from "../../../support/nats-server.js";
import type { Held } from "./protocol.js";
import { buildPrograms } from "./programs.js";
import type { Sample } from "./growth.js";
import { HttpClient } from "./http-client.js";
import { type ProcessEvents, WatchedProcess } from "./watched-process.js";

/** Short retention of transactions, so that a storage reaches its full size early in the soak. */
const ages = ["--history-age", "2m", "--outcome-age", "2m", "--invalidation-age", "2m"];
const diskBlockBytes = 512;

/** A node of the service. */
export interface ServiceNode {
  readonly name: string;
  readonly process: WatchedProcess;
  readonly http: HttpClient;
}

export interface PartsOptions {
  readonly services: number;
  readonly helpers: number;
  readonly events: Omit<ProcessEvents, "heard">;
  /** Reads a row of the database for the services. */
  readonly readRow: (row: string) => number;
}

/** The real parts of a soak: a broker, a storage server, services, and processes of clients. */
export class Parts {
  readonly folder: string;
  readonly broker: NatsServer;
  readonly services: ServiceNode[] = [];
  readonly helpers: WatchedProcess[] = [];
  readonly #options: PartsOptions;
  /** Folder with the built programs. */
  readonly #programs: string;
  #storage: WatchedProcess | undefined;
  #storageLives = 0;

  private constructor(options: PartsOptions, folder: string, programs: string, broker: NatsServer) {
    this.#options = options;
    this.folder = folder;
    this.#programs = programs;
    this.broker = broker;
  }

  /** Resolves when all parts are ready. */
  static async start(options: PartsOptions): Promise<Parts> {
    const folder = await mkdtemp(join(tmpdir(), "zooid-soak-"));
    const parts = new Parts(options, folder, await buildPrograms(), await startNatsServer({ config: jetStreamConfig() }));
    const names = (prefix: string, count: number) => Array.from({ length: count }, (_, index) => `${prefix}${index + 1}`);
    const started = await Promise.allSettled([
      parts.startStorage(),
      ...names("service-", options.services).map((name) => parts.#startService(name)),
      ...names("clients-", options.helpers).map((name) => parts.#startHelper(name)),
    ]);
    const failed = started.find((each) => each.status === "rejected");
    if (failed !== undefined) {
      await parts.close();
      throw failed.reason;
    }
    return parts;
  }

  async startStorage(): Promise<void> {
    const args = ["serve", "--data", join(this.folder, "storage"), "--servers", this.broker.url, "--json", "--log-level", "info", ...ages];
    this.#storage = await WatchedProcess.start({ name: "storage", folder: this.#programs, file: "zooid.js", args }, this.#options.events);
  }

  /** Stops or kills the storage server, and starts it again on its data. */
  async restartStorage(how: "stop" | "kill"): Promise<void> {
    await this.#storage?.[how]();
    this.#storageLives += 1;
    await this.startStorage();
  }

  /** All processes that have the driver's probe loaded. */
  get #watched(): readonly WatchedProcess[] {
    const storage = this.#storage === undefined ? [] : [this.#storage];
    return [...storage, ...this.services.map(({ process }) => process), ...this.helpers];
  }

  async sample(at: number): Promise<readonly Sample[]> {
    const samples = await Promise.all(
      this.#watched.map(async (process): Promise<readonly Sample[]> => {
        const isService = this.services.some((node) => node.process === process);
        const [measured, folder, answer] = await Promise.all([
          process.measure(),
          folderBytes(join(this.folder, process.name)),
          isService ? process.ask<{ readonly held: Held }>({ type: "held" }) : undefined,
        ]);
        if (measured === undefined) return [];
        const life = process.name === "storage" ? this.#storageLives : 0;
        return [{ at, process: process.name, life, values: { ...measured, ...answer?.held, folder } }];
      }),
    );
    const [rss, folder] = await Promise.all([residentBytes(this.broker.pid), folderBytes(this.broker.folder)]);
    return [...samples.flat(), { at, process: "nats-server", life: 0, values: { ...(rss === undefined ? {} : { rss }), folder } }];
  }

  /** Writes heap snapshots of all processes, one at a time: each needs as much memory as its process has. */
  async snapshot(folder: string, label: string): Promise<void> {
    for (const process of this.#watched) await process.snapshot(join(folder, `${process.name}-${label}.heapsnapshot`));
  }

  /** Ends all processes, dependents first. A process that does not end properly is reported as wrong. */
  async close(): Promise<void> {
    for (const { http } of this.services) http.close();
    await Promise.all([...this.services.map(({ process }) => process.stop()), ...this.helpers.map((helper) => helper.stop())]);
    await this.#storage?.stop();
    await this.broker.stop();
    await Promise.all([this.folder, this.#programs].map((folder) => rm(folder, { recursive: true, force: true })));
  }

  async #startService(name: string): Promise<void> {
    const heard: ProcessEvents["heard"] = (message, answer) => {
      const { number, row } = message as { readonly type: string; readonly number: number; readonly row: string };
      answer({ type: "row", number, version: this.#options.readRow(row) });
    };
    const process = await this.#start(name, "service.js", heard);
    this.services.push({ name, process, http: new HttpClient(String(process.ready["url"])) });
  }

  async #startHelper(name: string): Promise<void> {
    this.helpers.push(await this.#start(name, "clients.js"));
  }

  #start(name: string, file: string, heard?: ProcessEvents["heard"]) {
    const setup = { name, servers: this.broker.url, folder: join(this.folder, name) };
    return WatchedProcess.start({ name, folder: this.#programs, file, args: [JSON.stringify(setup)] }, { ...this.#options.events, heard });
  }
}

/** Bytes that a folder takes on the disk. LMDB's files are sparse, so their lengths are not used. */
async function folderBytes(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const sizes = await Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map(async (entry) => {
        // A file may be removed meanwhile.
        const found = await stat(join(entry.parentPath, entry.name)).catch(() => undefined);
        return (found?.blocks ?? 0) * diskBlockBytes;
      }),
  );
  return sizes.reduce((sum, each) => sum + each, 0);
}

/** Undefined where the system does not report it. */
async function residentBytes(pid: number): Promise<number | undefined> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  const found = /^VmRSS:\s+(\d+) kB$/m.exec(status);
  return found === null ? undefined : Number(found[1]) * 1_024;
}
