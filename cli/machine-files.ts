import { pathToFileURL } from "node:url";
import { resolve } from "node:path";
import { existsSync } from "node:fs";
import type { AnyStateMachine } from "xstate";
import { abortable, errorText } from "../core/index.js";
import { CommandError } from "./failure.js";

/** Whether `name` is a file with machines: it begins with `./`, `../` or `/`, or ends as a module does. */
export function isMachineFile(name: string): boolean {
  return /^\.{0,2}[\\/]|^[A-Za-z]:\\|\.[cm]?[jt]s(?:#[\w$]+)?$/.test(name);
}

let isModuleLoaded = false;

/** Whether this process has loaded a file of the user, which may have started something that keeps it alive. */
export function hasLoadedModule(): boolean {
  return isModuleLoaded;
}

/**
 * The machine that a module exports. `name`: its path, with `#` and the name of an export when it exports several.
 * Throws a CommandError when it cannot be loaded, or exports no such machine.
 */
export async function machineOfFile(name: string, signal: AbortSignal): Promise<AnyStateMachine> {
  const [, path = name, wanted] = /^(.*?)(?:#([\w$]+))?$/s.exec(name) ?? [];
  const exported = await load(path, signal);
  const found = Object.entries(exported).filter((entry): entry is [string, AnyStateMachine] => isMachine(entry[1]));
  const names = found.map(([each]) => each).join(", ");
  if (wanted !== undefined) {
    const machine = found.find(([each]) => each === wanted)?.[1];
    if (machine !== undefined) return machine;
    throw new CommandError(
      "ZOOID_NOT_FOUND",
      `${path} exports no machine ${wanted}: ${found.length === 0 ? "it exports none" : `its machines are ${names}`}`,
    );
  }
  const [first, ...others] = new Set(found.map(([, machine]) => machine));
  if (first === undefined) {
    const there = Object.keys(exported).join(", ");
    const exports = there === "" ? "it exports nothing" : `it exports ${there}`;
    throw new CommandError("ZOOID_NOT_FOUND", `${path} exports no machine of XState 5, as createMachine returns it: ${exports}`);
  }
  if (others.length > 0)
    throw new CommandError("ZOOID_USAGE", `${path} exports several machines, ${names}: name one, such as ${path}#${found[0]?.[0]}`);
  return first;
}

async function load(path: string, signal: AbortSignal): Promise<Readonly<Record<string, unknown>>> {
  const file = resolve(path);
  if (!existsSync(file)) throw new CommandError("ZOOID_FILE", `there is no file ${path}`);
  isModuleLoaded = true;
  let endless = (): void => undefined;
  try {
    const loading = import(pathToFileURL(file).href) as Promise<Readonly<Record<string, unknown>>>;
    // When nothing more can happen in this process, a module that still waits does so for ever.
    const waitingForEver = new Promise<never>((_, reject) => {
      endless = () => reject(new Error("an await at its top level never ends"));
      process.once("beforeExit", endless);
    });
    return await abortable(Promise.race([loading, waitingForEver]), signal);
  } catch (error) {
    signal.throwIfAborted();
    const reason = error instanceof Error && error.message !== "" ? `${error.name}: ${error.message}` : errorText(error);
    throw new CommandError("ZOOID_FILE", `${path} cannot be loaded: ${reason}${hintOf(path, error)}`, {}, error);
  } finally {
    process.off("beforeExit", endless);
  }
}

/** Advice for a file of TypeScript that Node cannot load. */
function hintOf(path: string, error: unknown): string {
  if (!/\.[cm]?ts$/.test(path)) return "";
  const { code } = error as { readonly code?: unknown };
  const withTsx = 'install tsx and set NODE_OPTIONS="--import tsx"';
  if (code === "ERR_UNKNOWN_FILE_EXTENSION")
    return `; Node.js ${process.versions.node} loads no TypeScript: 22.18 and later do, or ${withTsx}`;
  // Node removes types only: it looks for imported files under their written names.
  const isLimit =
    code === "ERR_MODULE_NOT_FOUND" || code === "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX" || code === "ERR_INVALID_TYPESCRIPT_SYNTAX";
  return isLimit ? `; for TypeScript that Node.js itself does not load, ${withTsx}` : "";
}

/** Another copy of XState may have made it, so its class says nothing. */
function isMachine(value: unknown): boolean {
  if (typeof value !== "object" || value === null || !("root" in value) || !("config" in value)) return false;
  const { root } = value;
  return typeof root === "object" && root !== null && "states" in root && "transitions" in root;
}
