import process from "node:process";
import { type ProgressReport, progressLine } from "./progress.js";

/** A terminal shows one line that changes. Elsewhere a new line each second is enough. */
const terminalIntervalMs = 100;
const lineIntervalMs = 1_000;

/**
 * Shows progress on standard error: a line that changes on a terminal, else a line each second; with `json` as JSON.
 */
export function progressDisplay(say: (line: string) => void, json: boolean) {
  const isTerminal = process.stderr.isTTY && !json;
  let wrote = false;
  return {
    intervalMs: isTerminal ? terminalIntervalMs : lineIntervalMs,
    report: (report: ProgressReport) => {
      wrote = isTerminal;
      if (json) say(JSON.stringify({ event: "progress", ...report }));
      else if (isTerminal) process.stderr.write(`\r\u001B[K${progressLine(report)}`);
      else say(progressLine(report));
    },
    /** Clears the line that changes. */
    end: () => {
      if (wrote) process.stderr.write("\r\u001B[K");
    },
  };
}

/** A stream that may be a terminal. */
export type MaybeTerminal = Pick<NodeJS.WriteStream, "isTTY" | "write">;

/** Waits for `work`. A terminal shows for how long `doing` takes, from the first second on. */
export async function withTime<T>(doing: string, work: Promise<T>, terminal: MaybeTerminal = process.stderr): Promise<T> {
  if (!terminal.isTTY) return work;
  let seconds = 0;
  const timer = setInterval(() => terminal.write(`\r\u001B[K${doing}: ${++seconds} s`), lineIntervalMs);
  try {
    return await work;
  } finally {
    clearInterval(timer);
    if (seconds > 0) terminal.write("\r\u001B[K");
  }
}
