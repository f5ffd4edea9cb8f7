import process from "node:process";
import { type ProgressReport, progressLine } from "./progress.js";

/** On a terminal one line is written over; elsewhere a line a second is enough. */
const terminalIntervalMs = 100;
const lineIntervalMs = 1_000;

/** How progress is told on standard error: a line that changes on a terminal, a line a second elsewhere, JSON if asked. */
export function progressTeller(say: (line: string) => void, json: boolean) {
  const isTerminal = process.stderr.isTTY && !json;
  let wrote = false;
  return {
    intervalMs: isTerminal ? terminalIntervalMs : lineIntervalMs,
    tell: (report: ProgressReport) => {
      wrote = isTerminal;
      if (json) say(JSON.stringify({ event: "progress", ...report }));
      else if (isTerminal) process.stderr.write(`\r\u001B[K${progressLine(report)}`);
      else say(progressLine(report));
    },
    /** Leaves the line that was written over. */
    end: () => {
      if (wrote) process.stderr.write("\r\u001B[K");
    },
  };
}
