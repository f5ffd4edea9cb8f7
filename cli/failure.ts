import { ZooidError } from "../index.js";
import { errorText, type Fact } from "../core/index.js";
import { printable } from "./printable.js";

/** Codes that only the command line has, with their exit codes. All other codes exit with 1. */
export const exitCodes: Readonly<Record<string, number>> = {
  ZOOID_USAGE: 2,
  ZOOID_NOT_FOUND: 1,
  ZOOID_BAD_LINE: 1,
  ZOOID_FILE: 1,
};

/** An error of the command line itself: of its arguments, files, ports or processes. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly code: `ZOOID_${string}`;
  readonly facts: Readonly<Record<string, Fact>>;

  constructor(code: `ZOOID_${string}`, message: string, facts: Readonly<Record<string, Fact>> = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.facts = facts;
  }
}

/** A signal ended the command, or the reader of its output is gone. It is not printed. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
  readonly exitCode: number;

  constructor(why: "SIGINT" | "SIGTERM" | "SIGHUP" | "SIGPIPE") {
    super(why);
    this.exitCode = 128 + { SIGHUP: 1, SIGINT: 2, SIGPIPE: 13, SIGTERM: 15 }[why];
  }
}

export interface Failure {
  readonly code: `ZOOID_${string}`;
  readonly message: string;
  readonly exitCode: number;
  readonly transient: boolean;
  readonly facts: Readonly<Record<string, Fact>>;
}

/** Code and one-line message of any error. */
export function failureOf(error: unknown): Failure {
  if (error instanceof CommandError) {
    return {
      code: error.code,
      message: oneLine(error.message),
      exitCode: exitCodes[error.code] ?? 1,
      transient: false,
      facts: error.facts,
    };
  }
  if (error instanceof ZooidError) {
    return { code: error.code, message: oneLine(error.message), exitCode: 1, transient: error.transient, facts: error.facts };
  }
  return { code: "ZOOID_INTERNAL", message: oneLine(errorText(error)), exitCode: 1, transient: false, facts: {} };
}

/** The line on standard error: `<name>: <message> (ZOOID_CODE)`, or a JSON object. */
export function failureLine(failure: Failure, { name, isJson }: { readonly name: string; readonly isJson: boolean }): string {
  if (!isJson) return `${name}: ${failure.message} (${failure.code})`;
  const { code, message, transient, facts } = failure;
  return JSON.stringify({ event: "error", error: { code, message, transient, facts } });
}

function oneLine(text: string): string {
  return printable(text.replace(/\s*\n\s*/g, "; ").trim());
}
