import { InvalidValueError } from "../../core/errors.js";
import { wordBytes, primitiveBytes, roughBytes } from "./rough-bytes.js";
import { foreignPart } from "./value-kind.js";
import { type Copied, copyOf, type ValueCopy } from "./value-copy.js";

/**
 * How callers get what is kept: "frozen", one copy that the cache owns, which nobody can change; "shared", the value itself, as changeable as it
 * was; "cloned", a copy of their own.
 */
export type ValueMode = "frozen" | "shared" | "cloned";

/** A value as it is kept. */
export interface KeptValue {
  readonly value: unknown;
  /** All callers may be given `value` itself. */
  readonly isShared: boolean;
}

/** A value to be kept, and how large it is. */
export interface MeasuredValue extends KeptValue {
  /** What it takes in memory, roughly. */
  readonly bytes: number;
}

/** An error that is kept in place of a value: every tier gives it back as it is. */
export class KeptFailure {
  readonly error: unknown;

  constructor(error: unknown) {
    this.error = error;
  }
}

/**
 * `value` so that no caller's change reaches what is kept; `value` itself is not changed. Foreign parts (see kindOf) are the same references.
 * Throws InvalidValueError when it is to be cloned and has such a part, when it is nested too deep, or when a part cannot be read.
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
    // The stack is at its end, or an accessor has thrown, or memory was transferred to another thread.
    const reason = error instanceof RangeError ? "is nested too deep" : "cannot be copied";
    throw new InvalidValueError({ path: "", reason }, error);
  }
}
