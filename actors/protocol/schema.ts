import type { StandardSchemaV1 } from "@standard-schema/spec";
import { InvalidOptionError, SchemaError, type Value } from "../../core/index.js";

/** The type of values by pattern of keys: `{ [key: `city/${string}`]: City }`. */
export type AnySchema = object;

/** The schema of a client that was given none. */
export interface UntypedSchema {
  readonly [key: string]: Value;
}

/** Keys of a schema. */
export type KeyOf<Schema extends AnySchema> = keyof Schema & string;

/**
 * Keys that `list(prefix)` yields: the keys of the pattern that the prefix belongs to, or of all patterns if it does
 * not belong to exactly one.
 */
export type ListedKey<Schema extends AnySchema, Prefix extends string> =
  `${Prefix}${string}` extends KeyOf<Schema> ? `${Prefix}${string}` : KeyOf<Schema>;

/** Values that `list(prefix)` yields. */
export type ListedValue<Schema extends AnySchema, Prefix extends string> = `${Prefix}${string}` extends infer Key extends KeyOf<Schema>
  ? Schema[Key]
  : Schema[KeyOf<Schema>];

/**
 * A validator of any Standard Schema library for some patterns of a schema. The pattern is a prefix that ends in `*`,
 * or a whole key: `{ "city/*": z.object({ … }) }`. The value that the validator returns is stored.
 */
export type Validators<Schema extends AnySchema> = {
  readonly [K in KeyOf<Schema>]?: StandardSchemaV1<unknown, Schema[K]>;
};

/** Finds the validator of a key: the one for the whole key, else the one for the longest prefix. */
export class ValidatorTable {
  readonly #whole = new Map<string, StandardSchemaV1>();
  /** Longest first. */
  readonly #prefixes: readonly { readonly prefix: string; readonly validator: StandardSchemaV1 }[];

  /** Throws InvalidOptionError. */
  constructor(validators: object = {}) {
    const prefixes = [];
    for (const [pattern, validator] of Object.entries(validators) as [string, StandardSchemaV1 | undefined][]) {
      if (validator === undefined) continue;
      if (typeof validator["~standard"]?.validate !== "function") {
        throw new InvalidOptionError({ option: `schemas[${JSON.stringify(pattern)}]`, reason: "is not a Standard Schema" });
      }
      if (pattern.endsWith("*")) prefixes.push({ prefix: pattern.slice(0, -1), validator });
      else this.#whole.set(pattern, validator);
    }
    this.#prefixes = prefixes.toSorted((a, b) => b.prefix.length - a.prefix.length);
  }

  /**
   * Returns `value` as its validator returns it. Throws SchemaError, or rejects with it if the validator is
   * asynchronous.
   */
  validate(key: string, value: unknown): unknown {
    const validator = this.#whole.get(key) ?? this.#prefixes.find(({ prefix }) => key.startsWith(prefix))?.validator;
    if (validator === undefined) return value;
    const result = validator["~standard"].validate(value);
    return result instanceof Promise ? result.then((each) => accepted(key, each)) : accepted(key, result);
  }
}

function accepted(key: string, result: StandardSchemaV1.Result<unknown>): unknown {
  if (result.issues === undefined) return result.value;
  throw new SchemaError({ key, reason: reasonsOf(result.issues) });
}

/** The issues that a Standard Schema found in a value, in one text: `amount: Too small; by: Required`. */
export function reasonsOf(issues: readonly StandardSchemaV1.Issue[]): string {
  const reasons = issues.map(({ message, path }) => {
    const at = path?.map((part) => String(typeof part === "object" ? part.key : part)).join(".");
    return at === undefined || at === "" ? message : `${at}: ${message}`;
  });
  return reasons.join("; ");
}
