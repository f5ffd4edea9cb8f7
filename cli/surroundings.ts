import type { Output } from "./output.js";

/** Output and interruption, as every command gets them. */
export interface Surroundings {
  readonly out: Output;
  /** Prints a line on standard error: progress, notices. */
  readonly say: (line: string) => void;
  /** Aborts when the command must end. Its reason is an Interrupted. */
  readonly signal: AbortSignal;
}
