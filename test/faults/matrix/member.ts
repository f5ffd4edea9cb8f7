import { join } from "node:path";
import type { NatsServer } from "../../support/nats-server.js";
import { startTcpProxy, type TcpProxy } from "../../support/tcp-proxy.js";
import type { Database } from "./database.js";
import { NodeProcess } from "./node-process.js";
import type { NodeOptions } from "./protocol.js";

/** The arguments for opening a cache at a node. */
export interface Opening {
  readonly cell: string;
  readonly options: NodeOptions;
  readonly wallClockBehindMs: number;
}

/**
 * One node of the caches of a stage, behind a link of its own. Its process may end, and another one start in its place.
 */
export class Member {
  readonly name: string;
  readonly link: TcpProxy;
  /** Folder of this node alone. It outlives the process. */
  readonly folder: string;
  readonly #database: Database;
  readonly #openings: Opening[] = [];
  #process: NodeProcess;
  /**
   * When the node was cut off, on the clock of the test. Undefined: it receives everything, as far as the test knows.
   */
  isolatedAt: number | undefined;
  /** The fault has ended: the node counts as cut off only until it reports that it follows. */
  mayReturn = false;

  private constructor(process: NodeProcess, link: TcpProxy, folder: string, database: Database) {
    this.name = process.name;
    this.#process = process;
    this.link = link;
    this.folder = folder;
    this.#database = database;
  }

  /** Resolves when all nodes are ready. When one does not start, ends the others and rejects. */
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

  /**
   * Kills the process, and starts another with the same caches. Resolves when those are open, in any state of their
   * bus.
   */
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
