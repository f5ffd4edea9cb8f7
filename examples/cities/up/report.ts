import { count, duration } from "../../../cli/progress.js";
import { table } from "../../../cli/table.js";

/** Events that `npm start` prints; with --json one JSON object a line. Times are in milliseconds. */
export type UpEvent =
  | { readonly event: "part"; readonly part: string; readonly state: "up" | "down"; readonly detail: string; readonly ms: number }
  | { readonly event: "ended"; readonly part: string; readonly detail: string }
  | { readonly event: "notice"; readonly text: string }
  | {
      readonly event: "import";
      readonly state: "running" | "done";
      readonly rows: number;
      readonly of: number;
      readonly rowsPerSecond: number;
      readonly ms: number;
    }
  | {
      readonly event: "ready";
      readonly ms: number;
      readonly servers: string;
      readonly control: string;
      readonly services: Readonly<Record<string, string>>;
    }
  | ScenarioStep
  | { readonly event: "scenario"; readonly city: string; readonly ms: number }
  | { readonly event: "byHand"; readonly commands: readonly string[] }
  | { readonly event: "keys"; readonly keys: Readonly<Record<string, string>> }
  | { readonly event: "machines"; readonly actors: readonly { readonly path: string; readonly state: string }[] }
  | { readonly event: "stopping" }
  | { readonly event: "stopped"; readonly ms: number };

/** One step of the scenario. `connection`: state of A's connection machine after the step. */
export interface ScenarioStep {
  readonly event: "step";
  readonly number: number;
  readonly name: string;
  readonly detail: string;
  readonly ms: number;
  readonly connection: string;
  readonly facts: Readonly<Record<string, string | number | boolean>>;
}

export type Report = (event: UpEvent) => void;

/** Columns of the lines for people. */
const columns = { name: 29, detail: 54, time: 9 } as const;
/** Width of the first column of lines without details; it aligns their times. */
const wide = columns.name + columns.detail + 1;

/** The lines of an event for people. Empty for events that only --json prints. */
export function upLines(event: UpEvent): readonly string[] {
  switch (event.event) {
    case "part":
      return [`  ${event.part} ${event.state}, ${event.detail}`.padEnd(wide) + time(event.ms)];
    case "ended":
      return [`  ${event.part} ended by itself: ${event.detail}`];
    case "notice":
      return [`  ${event.text}`];
    case "import":
      return [importLine(event)];
    case "ready":
      return [`ready in ${duration(event.ms)}`];
    case "step": {
      const name = `  ${String(event.number).padStart(2)}  ${event.name}`.padEnd(columns.name);
      return [`${name} ${event.detail.padEnd(columns.detail)} ${time(event.ms)}   A: ${event.connection}`];
    }
    case "scenario":
      return [];
    case "byHand":
      return ["", "The same by hand:", "", ...event.commands.map((command) => `  ${command}`), ""];
    case "keys":
      return [
        Object.entries(event.keys)
          .map(([key, what]) => `${key} ${what}`)
          .join(" · "),
      ];
    case "machines":
      return table(
        ["machine", "state"],
        event.actors.map(({ path, state }) => [path, state]),
      ).map((line) => `  ${line}`);
    case "stopping":
      return ["stopping"];
    case "stopped":
      return [`stopped in ${duration(event.ms)}`];
  }
}

function importLine(event: Extract<UpEvent, { event: "import" }>): string {
  const pace = event.rowsPerSecond > 0 ? ` (${count(event.rowsPerSecond)} a second)` : "";
  const text = event.state === "done" ? `${count(event.of)} cities imported` : `${count(event.rows)} of ${count(event.of)} cities`;
  return `  ${text}${pace}`.padEnd(wide) + time(event.ms);
}

function time(ms: number): string {
  return duration(ms).padStart(columns.time);
}
