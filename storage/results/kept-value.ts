import { InvalidValueError } from "../../core/errors.js";
import { wordBytes, primitiveBytes, roughBytes } from "./rough-bytes.js";
import { foreignPart } from "./value-kind.js";
import { type Copied, copyOf, type ValueCopy } from "./value-copy.js";

/**
 * How callers get a kept value: "frozen": one copy that the cache owns and that cannot be changed; "shared": the value
 * itself, still changeable; "cloned": a new copy for each caller.
 */
export type ValueMode = "frozen" | "shared" | "cloned";

/** A value in the form in which it is kept. */
export interface KeptValue {
  readonly value: unknown;
  /** All callers may get `value` itself. */
  readonly isShared: boolean;
}

/** A value to keep, and its size. */
export interface MeasuredValue extends KeptValue {
  /** Approximate size in memory. */
  readonly bytes: number;
}

/** An error that is kept in place of a value: every tier returns it unchanged. */
export class KeptFailure {
  readonly error: unknown;

  constructor(error: unknown) {
    this.error = error;
  }
}

/**
 * A form of `value` that no change by a caller can reach; `value` itself is not changed. Foreign parts (see kindOf)
 * stay the same references.
 * Throws InvalidValueError when the mode is "cloned" and there is a foreign part, when the value is nested too deep, or
 * when a part cannot be read.
 */
export function keepValue(value: unknown, mode: ValueMode): MeasuredValue {
  if (typeof value !== "object" && typeof value !== "function") return { value, isShared: true, bytes: wordBytes + primitiveBytes(value) };
  if (value === null || value instanceof KeptFailure) return { value, isShared: true, bytes: wordBytes };
  if (mode === "shared") return { value, isShared: true, bytes: roughBytes(value) };
  const copy = copied(value, mode, false);
  return { value: copy.value, isShared: mode === "frozen" && !copy.hasUnfreezable, bytes: copy.bytes };
}

/** The value for one caller. */
export function valueOf({ value, isShared }: KeptValue, mode: ValueMode): unknown {
  return isShared ? value : copied(value, mode, true).value;
}

function copied(value: unknown, mode: ValueMode, isOfCopy: boolean): ValueCopy {
  const copy = copyIfPossible(value, { isFrozen: mode === "frozen", isOfCopy });
  if (mode === "cloned" && copy.hasForeign) throw new InvalidValueError(foreignPart(value));
  return copy;
}

function copyIfPossible(value: unknown, how: Copied): ValueCopy {
  try {
    return copyOf(value, how);
  } catch (error) {
    // The stack overflowed, an accessor threw, or the memory was transferred to another thread.
    const reason = error instanceof RangeError ? "is nested too deep" : "cannot be copied";
    throw new InvalidValueError({ path: "", reason }, error);
  }
}
