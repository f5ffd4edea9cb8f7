/** The events that an actor accepts from outside. */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { InvalidEventError, InvalidOptionError, isThenable, limits, NotAcceptedError } from "../../core/index.js";
import type { RemoteEvent } from "../protocol/actor-messages.js";
import { reasonOf } from "./containment.js";
import { isRecord } from "../drawing/description.js";
import { reasonsOf } from "../protocol/schema.js";

/**
 * Types of the events that an actor accepts from outside: each with a Standard Schema of its fields without `type`, or
 * a list of types for events without other fields. The actor gets the result of the schema.
 *
 *     { PAY: z.object({ amount: z.number().positive() }), CANCEL: z.object({}) }
 *     ["CANCEL", "RETRY"]
 */
export type Accepts = readonly string[] | Readonly<Record<string, StandardSchemaV1>>;

/** Checks events before they reach their actor. */
export class AcceptedEvents {
  readonly #actor: string;
  /** Undefined: events of this type have no field but `type`. */
  readonly #schemas: ReadonlyMap<string, StandardSchemaV1 | undefined>;

  /** Throws InvalidOptionError. `actor` is the path that errors name. */
  constructor(actor: string, accepts: Accepts) {
    this.#actor = actor;
    if (typeof accepts !== "object" || accepts === null)
      throw new InvalidOptionError({ option: "accepts", reason: "is neither types nor schemas" });
    const entries: readonly (readonly [string, StandardSchemaV1 | undefined])[] = isList(accepts)
      ? accepts.map((type) => [type, undefined])
      : Object.entries(accepts);
    for (const [type, schema] of entries) {
      if (typeof type !== "string" || type.length > limits.nameBytesMax) {
        throw new InvalidOptionError({
          option: "accepts",
          reason: `names a type that is no text of at most ${limits.nameBytesMax} characters`,
        });
      }
      if (schema === undefined ? !isList(accepts) : typeof schema["~standard"]?.validate !== "function") {
        throw new InvalidOptionError({ option: `accepts.${type}`, reason: "is not a Standard Schema" });
      }
    }
    this.#schemas = new Map(entries);
  }

  /** `event` with the fields that its schema returns. Throws NotAcceptedError, InvalidEventError. */
  checked(event: RemoteEvent): { readonly type: string } {
    const { type, ...facts } = event;
    if (!this.#schemas.has(type)) {
      throw new NotAcceptedError({ actor: this.#actor, event: type, accepts: [...this.#schemas.keys()].join(", ") });
    }
    const schema = this.#schemas.get(type);
    if (schema !== undefined) return { ...this.#validated(schema, type, facts), type };
    const [field] = Object.keys(facts);
    if (field !== undefined)
      throw this.#invalid(type, `field ${field} needs a schema where the actor is registered: accepts: { ${type}: schema }`);
    return { type };
  }

  #validated(schema: StandardSchemaV1, type: string, facts: object): object {
    const result = judged(schema, facts);
    if (isThenable(result)) {
      // While a schema waited, later events would overtake this one.
      Promise.resolve(result).catch(() => undefined);
      throw this.#invalid(type, "its schema is asynchronous, which schemas of events cannot be");
    }
    if ("reason" in result) throw this.#invalid(type, result.reason);
    if (!isRecord(result.value)) throw this.#invalid(type, "its schema returns no object");
    return result.value;
  }

  #invalid(event: string, reason: string): InvalidEventError {
    return new InvalidEventError({ actor: this.#actor, event, reason });
  }
}

/** Runs a schema. It is code of the application, so it may throw, and may return anything. */
function judged(schema: StandardSchemaV1, facts: object): PromiseLike<unknown> | { readonly value: unknown } | { readonly reason: string } {
  try {
    const result = schema["~standard"].validate(facts);
    if (isThenable(result)) return result;
    if (result.issues !== undefined) return { reason: reasonsOf(result.issues) };
    // A copy runs accessors, which may throw, inside this try.
    return { value: isRecord(result.value) ? { ...result.value } : undefined };
  } catch (error) {
    return { reason: `its schema failed: ${reasonOf(error)}` };
  }
}

function isList(accepts: Accepts): accepts is readonly string[] {
  return Array.isArray(accepts);
}
