import { join } from "node:path";
import type { NatsServer } from "../../support/nats-server.js";
import { startTcpProxy, type TcpProxy } from "../../support/tcp-proxy.js";
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
  /** Nothing is in its way any more: it is cut off until it says that it follows. */
  mayReturn = false;

  private constructor(process: NodeProcess, link: TcpProxy, folder: string, database: Database) {
    this.name = process.name;
    this.#process = process;
    this.link = link;
    this.folder = folder;
    this.#database = database;
  }

  /** Resolves when all of them take asks; rejects, with none of them left, when one does not start. */
  static async startAll(names: readonly string[], broker: NatsServer, database: Database): Promise<readonly Member[]> {
    const started = await Promise.allSettled(
      names.map(async (name) => {
        const process = await NodeProcess.start(name, database);
        return new Member(process, await startTcpProxy(() => broker.port), join(broker.folder, name), database);
      }),
    );
    const members = started.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
    const failed = started.find((each) => each.status === "rejected");
    if (failed === undefined) return members;
    await Promise.all(members.map((member) => member.close()));
    throw failed.reason;
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
