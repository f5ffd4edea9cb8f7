import { CommandError } from "../../../cli/failure.js";

/** Remedies for errors of parts, by code. */
const hints: Readonly<Record<string, string>> = { ZOOID_IN_USE: ": choose another folder with --data" };

/** The error of a part that could not be started, or that ended. `code`: the code of its own error. */
export function partError(part: string, what: string, code = "ZOOID_PART_FAILED", cause?: unknown): CommandError {
  const known = /^ZOOID_[A-Z_]+$/.test(code) ? (code as `ZOOID_${string}`) : "ZOOID_PART_FAILED";
  return new CommandError(known, `${part} ${what}${hints[known] ?? ""}`, { part }, cause);
}
