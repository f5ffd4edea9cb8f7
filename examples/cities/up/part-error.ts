import { CommandError } from "../../../cli/failure.js";

/** What one can do about errors of parts. */
const hints: Readonly<Record<string, string>> = { ZOOID_IN_USE: ": choose another folder with --data" };

/** A part could not be started, or ended. `code`: that of its own error, which says more than that a part failed. */
export function partError(part: string, what: string, code = "ZOOID_PART_FAILED", cause?: unknown): CommandError {
  const known = /^ZOOID_[A-Z_]+$/.test(code) ? (code as `ZOOID_${string}`) : "ZOOID_PART_FAILED";
  return new CommandError(known, `${part} ${what}${hints[known] ?? ""}`, { part }, cause);
}
