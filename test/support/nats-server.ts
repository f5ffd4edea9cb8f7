import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { requireNatsServer } from "../../scripts/nats-server.mjs";

export interface NatsServerOptions {
  /** Default: a free port. */
  readonly port?: number;
  /** Address that it listens on. Default: 127.0.0.1. */
  readonly host?: string;
  /** Text of its configuration file; `$folder` in it is the server's temporary folder. */
  readonly config?: string;
  readonly args?: readonly string[];
}

/** A real nats-server process with a temporary folder. It ends with this process, or at `stop`. */
export interface NatsServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly folder: string;
  /** Sends `signal`, by default SIGKILL; resolves when the process has ended. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Freezes the process (SIGSTOP): its sockets stay open, and it answers nothing from now on. */
  pause(): void;
  resume(): void;
  /** Kills it if it runs, and starts it on the same port. Default of `config`: the configuration that it had. */
  restart(config?: string): Promise<void>;
  /** Ends it and removes its folder. */
  stop(): Promise<void>;
}

const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/**
 * Starts a nats-server and resolves when it accepts connections. Without a nats-server it throws an error that says how
 * to get one.
 */
export async function startNatsServer(options: NatsServerOptions = {}): Promise<NatsServer> {
  const binary = requireNatsServer();
  const folder = await mkdtemp(join(tmpdir(), "zooid-nats-"));
  const host = options.host ?? "127.0.0.1";
  let port = options.port ?? -1;
  let config = options.config;
  let child: ChildProcess;

  const start = async (): Promise<void> => {
    const args = ["-a", host, "-p", String(port), ...(options.args ?? [])];
    if (config !== undefined) {
      await writeFile(join(folder, "nats.conf"), config.replaceAll("$folder", folder));
      args.push("-c", join(folder, "nats.conf"));
    }
    child = spawn(binary, args, { stdio: ["ignore", "ignore", "pipe"] });
    running.add(child);
    child.once("exit", () => running.delete(child));
    port = await listening(child);
  };
  const kill = async (signal: NodeJS.Signals = "SIGKILL"): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill(signal);
    // A paused process handles SIGCONT before any other signal.
    if (signal !== "SIGKILL") child.kill("SIGCONT");
    await ended;
  };
  const stop = async (): Promise<void> => {
    await kill();
    await rm(folder, { recursive: true, force: true });
  };

  await start();
  return {
    get url() {
      return `nats://${host.includes(":") ? `[${host}]` : host}:${port}`;
    },
    get port() {
      return port;
    },
    get pid() {
      return child.pid as number;
    },
    folder,
    kill,
    pause: () => {
      child.kill("SIGSTOP");
      untilStopped(child.pid);
    },
    resume: () => void child.kill("SIGCONT"),
    restart: async (another) => {
      await kill();
      config = another ?? config;
      await start();
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** Waits until each thread of a process has stopped: one that runs on another processor goes on for a moment. Linux. */
function untilStopped(pid = 0): void {
  const tasks = `/proc/${pid}/task`;
  if (!existsSync(tasks)) return;
  const isStopped = (task: string) => / [TXZ] [^)]*$/.test(readFileSync(join(tasks, task, "stat"), "utf8"));
  while (!readdirSync(tasks).every(isStopped));
}

/** The port that `child` reports in its log, once it is ready. */
async function listening(child: ChildProcess): Promise<number> {
  const lines = createInterface({ input: child.stderr as NonNullable<typeof child.stderr> });
  const said: string[] = [];
  return new Promise((resolve, reject) => {
    let port = 0;
    lines.on("line", (line) => {
      said.push(line);
      const found = /Listening for client connections on \S*:(\d+)$/.exec(line);
      if (found !== null) port = Number(found[1]);
      if (!line.endsWith("Server is ready")) return;
      // The log is read to its end, so that the server never blocks on a full pipe.
      lines.removeAllListeners("line");
      resolve(port);
    });
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`nats-server ended with ${code}:\n${said.join("\n")}`)));
  });
}
