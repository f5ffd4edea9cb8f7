import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { CacheStats } from "../../../cache.js";
import type { Database } from "./database.js";
import type { Ask, FromNode, ToNode } from "./protocol.js";

/** A longer call counts as a hanging one. */
export const answerMsMax = 5_000;

interface Asked {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
}

const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** A node of a cache in a process of its own, controlled by the test. It ends with the test's process. */
export class NodeProcess {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #asked = new Map<number, Asked>();
  #asks = 0;
  #isToEnd = false;
  #ended: string | undefined;
  #said = "";

  private constructor(name: string, child: ChildProcess) {
    this.name = name;
    this.#child = child;
  }

  /** Resolves when the node is ready for requests. */
  static async start(name: string, database: Database): Promise<NodeProcess> {
    const child = fork(fileURLToPath(new URL("./node.ts", import.meta.url)), {
      execArgv: ["--import", "tsx", "--expose-gc"],
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    running.add(child);
    const node = new NodeProcess(name, child);
    const ready = new Promise<void>((resolve, reject) => {
      child.on("message", (message: FromNode) => {
        if (message.type === "ready") resolve();
        else node.#hear(message, database);
      });
      child.once("exit", (code, signal) => {
        running.delete(child);
        node.#end(`ended with ${code ?? signal}`);
        reject(new Error(`${name} ${node.#ended}: ${node.#said}`));
      });
    });
    for (const output of [child.stdout, child.stderr]) {
      output?.setEncoding("utf8").on("data", (text: string) => {
        node.#said = (node.#said + text).slice(-4_000);
      });
    }
    await ready;
    return node;
  }

  /** How the process ended although the test did not end it. Undefined: it runs. */
  get ended(): string | undefined {
    return this.#isToEnd ? undefined : this.#ended;
  }

  /** Rejects when the node fails or ends, or does not answer within `answerMsMax`. */
  ask<Answer = unknown>(ask: Ask): Promise<Answer> {
    if (this.#ended !== undefined) return Promise.reject(this.#endedError());
    const number = ++this.#asks;
    return new Promise<unknown>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#asked.delete(number);
        reject(new Error(`${this.name} did not answer ${ask.type} within ${answerMsMax} ms`));
      }, answerMsMax);
      const settle = () => {
        clearTimeout(timer);
        this.#asked.delete(number);
      };
      this.#asked.set(number, {
        resolve: (answer) => {
          settle();
          resolve(answer);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      });
      this.#send({ type: "ask", number, ask });
    }) as Promise<Answer>;
  }

  stats(cell: string): Promise<CacheStats> {
    return this.ask({ type: "stats", cell });
  }

  /** Ends it as `kill -9` does. */
  async kill(): Promise<void> {
    this.#isToEnd = true;
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await ended;
  }

  #send(message: ToNode): void {
    // If the process has just ended, its exit event reports that.
    this.#child.send(message, () => undefined);
  }

  #hear(message: Exclude<FromNode, { type: "ready" }>, database: Database): void {
    switch (message.type) {
      case "answer":
        this.#asked.get(message.number)?.resolve(message.answer);
        return;
      case "failure":
        this.#asked.get(message.number)?.reject(new Error(`${this.name}: ${message.failure}`));
        return;
      case "read": {
        const { number, cell, entry } = message;
        void database.read(this.name, `${cell} ${entry}`).then((version) => {
          if (this.#ended === undefined) this.#send({ type: "row", number, version });
        });
      }
    }
  }

  #end(how: string): void {
    this.#ended = how;
    for (const { reject } of [...this.#asked.values()]) reject(this.#endedError());
  }

  #endedError(): Error {
    return new Error(`${this.name} ${this.#ended}: ${this.#said.trim()}`);
  }
}
