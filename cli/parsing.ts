import { accessSync, constants } from "node:fs";
import { type Command, InvalidArgumentError, Option } from "commander";
import { InvalidOptionError } from "../index.js";
import { asDuration } from "../core/index.js";
import { CommandError } from "./failure.js";

/** Milliseconds of a duration with its unit: `500ms`, `2s`, `5m`, `1h`, `7d`. */
export function parseDuration(text: string): number {
  try {
    return Math.round(asDuration(text.trim(), "duration", { unit: "ms" }));
  } catch (error) {
    if (!(error instanceof InvalidOptionError)) throw error;
    throw new InvalidArgumentError("It must be a number with a unit: 500ms, 2s, 5m, 1h or 7d.");
  }
}

/** A parser of durations in [minMs, maxMs]; `range` is the text of both. */
export function parseDurationIn(minMs: number, maxMs: number, range: string): (text: string) => number {
  return (text) => {
    const ms = parseDuration(text);
    if (!(ms >= minMs && ms <= maxMs)) throw new InvalidArgumentError(`It must be ${range}.`);
    return ms;
  };
}

/** A parser of whole numbers in [min, max]. */
export function parseInteger(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text.trim()) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max)) throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
    return value;
  };
}

/** A factor above 0, such as 0.5 or 10. */
export function parseSpeed(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !(value > 0 && value < Infinity))
    throw new InvalidArgumentError("It must be a number above 0, such as 0.5 or 10.");
  return value;
}

/** A parser of one of these words. */
export function parseChoice<const T extends string>(choices: readonly T[]): (text: string) => T {
  return (text) => {
    const choice = choices.find((each) => each === text);
    if (choice === undefined) throw new InvalidArgumentError(`It must be one of ${choices.join(", ")}.`);
    return choice;
  };
}

/** A name that becomes part of a subject: 1 to 64 letters, digits, `-` and `_`. */
export function parseName(text: string): string {
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(text)) throw new InvalidArgumentError("It must be 1 to 64 letters, digits, - and _.");
  return text;
}

/** Names, separated by commas. */
export function parseNames(text: string): readonly string[] {
  return text.split(",").map((name) => parseName(name.trim()));
}

/** A file that can be read. */
export function parseFile(path: string): string {
  try {
    accessSync(path, constants.R_OK);
  } catch (error) {
    throw new InvalidArgumentError(`It cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)}).`);
  }
  return path;
}

/** Origins of pages, with commas. */
export function parseOrigins(text: string): readonly string[] {
  const origins = text.split(",").map((origin) => origin.trim());
  for (const origin of origins) {
    if (!URL.canParse(origin) || new URL(origin).origin !== origin)
      throw new InvalidArgumentError(`${JSON.stringify(origin)} is not an origin such as http://localhost:5173.`);
  }
  return origins;
}

const schemes = ["nats:", "tls:", "ws:", "wss:"];

/** Addresses of one broker, separated by commas. */
export function parseServers(text: string): readonly string[] {
  const servers = text.split(",").map((server) => server.trim());
  for (const server of servers) {
    const scheme = URL.canParse(server) ? new URL(server).protocol : undefined;
    if (scheme === undefined || !schemes.includes(scheme)) {
      throw new InvalidArgumentError(`${JSON.stringify(server)} is not an address such as nats://host:4222 or ws://host:4280.`);
    }
  }
  return servers;
}

/** An option that can be given as a flag and as an environment variable; the flag wins. */
export function option(flags: string, variable: `ZOOID_${string}` | undefined, description: string): Option {
  const made = new Option(flags, description);
  return variable === undefined ? made : made.env(variable);
}

const switchVariables = new WeakMap<Option, string>();

/** A flag without a value, whose variable says true or false (1, 0, yes, no). */
export function switchOption(flags: string, variable: `ZOOID_${string}`, description: string): Option {
  const made = new Option(flags, `${description} (env: ${variable})`);
  switchVariables.set(made, variable);
  return made;
}

/**
 * Sets the switches that were not given as flags from their variables. (Commander would take any value, also "false",
 * as true.) Throws a CommandError that names the variable.
 */
export function readSwitchVariables(command: Command, environment: NodeJS.ProcessEnv): void {
  for (const each of command.options) {
    const variable = switchVariables.get(each);
    const text = variable === undefined ? undefined : environment[variable];
    if (variable === undefined || text === undefined || command.getOptionValue(each.attributeName()) !== undefined) continue;
    const word = text.toLowerCase();
    const value = ["1", "true", "yes"].includes(word) ? true : ["", "0", "false", "no"].includes(word) ? false : undefined;
    if (value === undefined) throw new CommandError("ZOOID_USAGE", `${variable} is ${JSON.stringify(text)}: it must be true or false`);
    command.setOptionValueWithSource(each.attributeName(), value, "env");
  }
}
