import type { Output } from "./output.js";

/** What every command is given. */
export interface Surroundings {
  readonly out: Output;
  /** A line on standard error: progress, notices. */
  readonly say: (line: string) => void;
  /** Aborts when the command is to end, with an Interrupted as reason. */
  readonly signal: AbortSignal;
}
