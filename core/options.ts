import { type Clock, systemClock } from "./clock.js";
import { type Random, systemRandom } from "./random.js";
import { InvalidOptionError } from "./errors.js";
import { limits } from "./limits.js";
import { type Log, silentLog } from "./log.js";
import { didYouMean } from "./similar-name.js";

/** Throws InvalidOptionError unless `value` is a name: one token of a subject. */
export function checkName(option: string, value: unknown): asserts value is string {
  if (typeof value !== "string" || value.length > limits.nameBytesMax || !/^[A-Za-z0-9_-]+$/.test(value)) {
    throw new InvalidOptionError({
      option,
      reason: `is ${JSON.stringify(value) ?? "undefined"}, not 1 to ${limits.nameBytesMax} letters, digits, _ and -`,
    });
  }
}

/**
 * Throws InvalidOptionError unless `options` is an object whose options are all in `names`. The error suggests a
 * similar name. `within` is the path of the options, with a dot at its end.
 */
export function checkNames(options: unknown, names: ReadonlySet<string>, within = ""): void {
  if (typeof options !== "object" || options === null)
    throw new InvalidOptionError({ option: within === "" ? "options" : within.slice(0, -1), reason: "is not an object" });
  for (const option of Object.keys(options)) {
    if (names.has(option)) continue;
    throw new InvalidOptionError({ option: `${within}${option}`, reason: `is not known${didYouMean(option, names)}` });
  }
}

/** Throws InvalidOptionError unless `value` is undefined or has all of `methods`. */
export function checkMethods(option: string, value: unknown, methods: readonly string[]): void {
  if (value === undefined) return;
  const has = (name: string) => typeof (value as Readonly<Record<string, unknown>> | null)?.[name] === "function";
  const missing = methods.filter((name) => !has(name));
  if (missing.length > 0) throw new InvalidOptionError({ option, reason: `lacks methods: ${missing.join(", ")}` });
}

/** Throws InvalidOptionError unless `log` is undefined or a logger. */
export function checkLog(log: unknown): void {
  checkMethods("log", log, Object.keys(silentLog));
}

/** The world around a part: time, chance and a log. Tests and simulation give their own. */
export interface Seams {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** Seams that a user may give. */
export interface SeamOptions {
  /** Source of time, for tests. Default: the system's clocks. */
  readonly clock?: Clock | undefined;
  /** Source of random ids, for tests. Default: the system's. */
  readonly random?: Random | undefined;
  /** Any pino logger. Default: nothing is logged. */
  readonly log?: Log | undefined;
}

/** The given seams, and those of the system in place of the others. */
export function seamsOf({ clock = systemClock, random = systemRandom, log = silentLog }: SeamOptions): Seams {
  return { clock, random, log };
}

/** Seams whose types are still to be checked. */
type UncheckedSeams = { readonly [Name in "transport" | keyof Seams]?: unknown };

/** Throws InvalidOptionError unless each of them is undefined or has the methods of its kind. */
export function checkSeams({ transport, clock, random, log }: UncheckedSeams): void {
  checkMethods("transport", transport, ["publish", "request", "subscribe", "onStatus", "flush", "close"]);
  checkMethods("clock", clock, ["now", "monotonic", "setTimeout", "clearTimeout"]);
  checkMethods("random", random, ["fraction", "id"]);
  checkLog(log);
}

/** `checkSeams` for a part that requires a transport from the caller. */
export function checkSeamsOverTransport(seams: UncheckedSeams): void {
  if (seams.transport === undefined) throw new InvalidOptionError({ option: "transport", reason: "is missing: openTransport returns one" });
  checkSeams(seams);
}

/** Throws InvalidOptionError unless `value` is undefined or one of `choices`. */
export function checkChoice(option: string, value: unknown, choices: readonly unknown[]): void {
  if (value !== undefined && !choices.includes(value)) {
    throw new InvalidOptionError({ option, reason: `is ${JSON.stringify(value) ?? typeof value}, not one of ${choices.join(", ")}` });
  }
}

/** The properties of `parts` that are not undefined. */
export function definedOf<Parts extends object>(parts: Parts): { readonly [Name in keyof Parts]?: Exclude<Parts[Name], undefined> } {
  const defined = Object.entries(parts).filter(([, value]) => value !== undefined);
  return Object.fromEntries(defined) as { [Name in keyof Parts]?: Exclude<Parts[Name], undefined> };
}
