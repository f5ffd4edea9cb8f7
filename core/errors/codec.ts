import { type ErrorClass, type Fact, ZooidError } from "./base.js";
import * as actors from "./actors.js";
import * as cache from "./cache.js";
import * as input from "./input.js";
import * as links from "./links.js";
import * as storage from "./storage.js";
import { errorText } from "./thrown.js";
import * as transactions from "./transactions.js";

/** Every error class by its name. The imported files export error classes only. */
export const errorClasses = { ...input, ...actors, ...transactions, ...links, ...storage, ...cache } satisfies Record<string, ErrorClass>;

/** Names of the classes above, as messages carry them. */
export type ErrorName = keyof typeof errorClasses;

/**
 * An error as a message carries it: class name and facts. An error that is not a ZooidError becomes an InternalError.
 */
export function errorToWire(error: unknown): [ErrorName, Record<string, Fact>] {
  if (error instanceof ZooidError && Object.hasOwn(errorClasses, error.name)) return [error.name as ErrorName, { ...error.facts }];
  return ["InternalError", { reason: errorText(error) }];
}

/** Maximum number of characters of an unknown name that an error repeats. */
const errorNameLengthMax = 64;

/**
 * The error that errorToWire described. An unknown name, or facts that do not fit the class, give an InternalError.
 * Never throws.
 */
export function errorFromWire(name: unknown, facts: unknown): ZooidError {
  const known = typeof name === "string" && Object.hasOwn(errorClasses, name) ? errorClasses[name as ErrorName] : undefined;
  const error = typeof facts === "object" && facts !== null ? known?.fromFacts(facts) : undefined;
  if (error !== undefined) return error;
  const answer = typeof name === "string" ? name.slice(0, errorNameLengthMax) : typeof name;
  return new links.InternalError({ reason: `the other side answered ${answer}${known === undefined ? "" : " with malformed facts"}` });
}
