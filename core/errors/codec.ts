import { type ErrorClass, type Fact, ZooidError } from "./base.js";
import * as actors from "./actors.js";
import * as cache from "./cache.js";
import * as input from "./input.js";
import * as links from "./links.js";
import * as storage from "./storage.js";
import * as transactions from "./transactions.js";

/** Every error class by its name: what the files of subjects export, and nothing else. */
export const errorClasses = { ...input, ...actors, ...transactions, ...links, ...storage, ...cache } satisfies Record<string, ErrorClass>;

/** Names of the classes above, as they travel. */
export type ErrorName = keyof typeof errorClasses;

/** An error as it travels: class name and facts. What is not a ZooidError becomes an InternalError. */
export function errorToWire(error: unknown): [ErrorName, Record<string, Fact>] {
  if (error instanceof ZooidError && Object.hasOwn(errorClasses, error.name)) return [error.name as ErrorName, { ...error.facts }];
  return ["InternalError", { reason: error instanceof Error ? error.message : String(error) }];
}

/** Characters of an unknown name that are worth repeating. */
const errorNameLengthMax = 64;

/**
 * The error that errorToWire described. A name that is not known, or facts that are not those of its class, become an InternalError, never
 * a throw.
 */
export function errorFromWire(name: unknown, facts: unknown): ZooidError {
  const known = typeof name === "string" && Object.hasOwn(errorClasses, name) ? errorClasses[name as ErrorName] : undefined;
  const error = typeof facts === "object" && facts !== null ? known?.fromFacts(facts) : undefined;
  if (error !== undefined) return error;
  const answer = typeof name === "string" ? name.slice(0, errorNameLengthMax) : typeof name;
  return new links.InternalError({ reason: `the other side answered ${answer}${known === undefined ? "" : " with malformed facts"}` });
}
