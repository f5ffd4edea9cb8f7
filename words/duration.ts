import { InvalidOptionError } from "./errors.js";
import { limits } from "./limits.js";

const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Characters of a refused duration that are worth repeating. */
const shownLengthMax = 64;

/**
 * Milliseconds of `value`: a number of seconds, or a number with its unit (`"250ms"`, `"30s"`, `"5m"`, `"1h"`, `"7d"`).
 * A plain number above durationSecsMax is refused: it was probably meant as milliseconds. Throws InvalidOptionError that names `option`.
 */
export function asDuration(value: number | string, option: string): number {
  if (typeof value === "number") {
    if (!(value >= 0 && value < Infinity)) throw new InvalidOptionError({ option, reason: `is ${value}, not a number of seconds from 0` });
    if (value > limits.durationSecsMax) {
      throw new InvalidOptionError({
        option,
        reason: `is ${value} seconds, more than ${limits.durationSecsMax}: probably milliseconds were meant, which are written "${value}ms"`,
      });
    }
    return value * 1_000;
  }
  const match = typeof value === "string" ? /^(\d{1,12}(?:\.\d{1,12})?)(ms|s|m|h|d)$/.exec(value) : null;
  const unitMs = unitsMs[match?.[2] ?? ""];
  if (unitMs === undefined) {
    throw new InvalidOptionError({
      option,
      reason: `is ${shown(value)}, neither a number of seconds nor a number with its unit: "250ms", "30s", "5m", "1h"`,
    });
  }
  return Number(match?.[1]) * unitMs;
}

function shown(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value.slice(0, shownLengthMax)) : value === null ? "null" : typeof value;
}
