import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { UpEvent } from "../../examples/cities/up/report.js";
import { built } from "../support/built.js";
import { freePorts } from "../cli/free-ports.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export type Event<T extends UpEvent["event"]> = Extract<UpEvent, { event: T }>;

export interface RunningUp {
  readonly pid: number;
  readonly control: string;
  readonly events: readonly UpEvent[];
  /**
   * The first event of this kind, since the start of the run, for which `is` holds. Rejects when the run ends without
   * one.
   */
  event<T extends UpEvent["event"]>(type: T, is?: (event: Event<T>) => boolean): Promise<Event<T>>;
  /** Resolves when the process has ended. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null; readonly err: string }>;
  signal(signal: NodeJS.Signals): void;
  /** Ids of the processes that it has started, and of their descendants. */
  descendants(): readonly number[];
}

/** Starts `npm start -- --json` on free ports. */
export async function startUp(words: readonly string[]): Promise<RunningUp> {
  const [broker = 0, control = 0, a = 0, b = 0] = await freePorts(4);
  const ports = ["--port", String(broker), "--control-port", String(control), "--service-ports", `${a},${b}`];
  const all = [built("examples/cities/start.js"), "--json", ...ports, ...words];
  const child = spawn(process.execPath, all, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  running.add(child);
  const events: UpEvent[] = [];
  const waiting = new Set<() => void>();
  let err = "";
  let isOver = false;
  const wake = () => {
    for (const look of waiting) look();
  };
  child.stderr.on("data", (text: Buffer) => (err += text.toString()));
  createInterface({ input: child.stdout }).on("line", (line) => {
    events.push(JSON.parse(line) as UpEvent);
    wake();
  });
  const ended = once(child, "close").then(([code, signal]) => {
    running.delete(child);
    isOver = true;
    wake();
    return { code: code as number | null, signal: signal as NodeJS.Signals | null, err };
  });
  return {
    pid: child.pid ?? 0,
    control: `http://127.0.0.1:${control}`,
    events,
    ended,
    event: <T extends UpEvent["event"]>(type: T, is: (event: Event<T>) => boolean = () => true) =>
      new Promise<Event<T>>((resolve, reject) => {
        const look = () => {
          const found = events.find((event): event is Event<T> => event.event === type && is(event as Event<T>));
          if (found === undefined && !isOver) return;
          waiting.delete(look);
          if (found === undefined) reject(new Error(`it ended without ${type}: ${err}`));
          else resolve(found);
        };
        waiting.add(look);
        look();
      }),
    signal: (signal) => child.kill(signal),
    descendants: () => descendantsOf(child.pid ?? 0),
  };
}

/** Whether a process runs: a zombie, which waits for its parent, does not. */
export function isAlive(pid: number): boolean {
  return processes().some((each) => each.pid === pid && !each.state.startsWith("Z"));
}

function descendantsOf(pid: number): readonly number[] {
  const all = processes();
  const below = (parent: number): readonly number[] => {
    const children = all.filter((each) => each.parent === parent).map((each) => each.pid);
    return [...children, ...children.flatMap(below)];
  };
  return below(pid);
}

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly state: string;
  readonly command: string;
}

function processes(): readonly Process[] {
  const text = execFileSync("ps", ["-axo", "pid=,ppid=,stat=,comm="], { encoding: "utf8" });
  return text
    .trim()
    .split("\n")
    .map((line) => {
      const [pid = "", parent = "", state = "", command = ""] = line.trim().split(/\s+/);
      return { pid: Number(pid), parent: Number(parent), state, command };
    });
}
