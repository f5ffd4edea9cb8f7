import { join } from "node:path";
import { startTcpProxy, type TcpProxy } from "../tcp-proxy.js";
import type { Database } from "./database.js";
import { NodeProcess } from "./node-process.js";
import type { NodeOptions } from "./protocol.js";

/** How a cache is opened at a node. */
export interface Opening {
  readonly cell: string;
  readonly options: NodeOptions;
  readonly wallClockBehindMs: number;
}

/** One node of the caches of a stage, behind a link of its own: its process may end and be started again in its place. */
export class Member {
  readonly name: string;
  readonly link: TcpProxy;
  /** Of this node alone; what is there outlives its process. */
  readonly folder: string;
  readonly #database: Database;
  readonly #openings: Opening[] = [];
  #process: NodeProcess;
  /** When it was cut off, on the clock of the test; undefined: it hears everything, as far as known. */
  isolatedAt: number | undefined;

  private constructor(process: NodeProcess, link: TcpProxy, folder: string, database: Database) {
    this.name = process.name;
    this.#process = process;
    this.link = link;
    this.folder = folder;
    this.#database = database;
  }

  static async start(name: string, brokerPort: () => number, folder: string, database: Database): Promise<Member> {
    const [process, link] = await Promise.all([NodeProcess.start(name, database), startTcpProxy(brokerPort)]);
    return new Member(process, link, join(folder, name), database);
  }

  get process(): NodeProcess {
    return this.#process;
  }

  async open(opening: Opening): Promise<void> {
    this.#openings.push(opening);
    await this.#process.ask({ type: "open", ...opening });
  }

  /** Kills it, and starts it with the same caches. Resolves when those are open, wherever they stand. */
  async restart(): Promise<void> {
    await this.#process.kill();
    this.#process = await NodeProcess.start(this.name, this.#database);
    await Promise.all(this.#openings.map((opening) => this.#process.ask({ type: "open", ...opening })));
  }

  async close(): Promise<void> {
    await this.#process.kill();
    await this.link.close();
  }
}
