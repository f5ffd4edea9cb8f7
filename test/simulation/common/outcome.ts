import type { RunResult } from "../objects/run.js";

/** The result of one seed, as it travels between processes. */
export interface Outcome extends Omit<RunResult, "violation"> {
  readonly violation: { readonly kind: string; readonly message: string } | undefined;
}

export function outcomeOf({ violation, ...result }: RunResult): Outcome {
  return { ...result, violation: violation && { kind: violation.kind, message: violation.message } };
}
