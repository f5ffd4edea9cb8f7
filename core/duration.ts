import { InvalidOptionError } from "./errors.js";
import { limits } from "./limits.js";

/**
 * A span of time: a number in the unit that its option documents, or a number with its unit: `"250ms"`, `"30s"`,
 * `"5m"`, `"1h"`, `"7d"`. `Infinity` means no bound, where the option allows it.
 */
export type Duration = number | string;

/** Durations that one option allows. */
export interface DurationRule {
  /** Unit of a plain number. */
  readonly unit: "ms" | "s";
  /** Least number of milliseconds allowed. Default: 0. */
  readonly msMin?: number;
  /** Whether `Infinity` is allowed. Default: false. */
  readonly isEndlessAllowed?: boolean;
}

/** A number of milliseconds from 1. */
export const atLeastOneMs: DurationRule = { unit: "ms", msMin: 1 };

/** A number of milliseconds, or Infinity. */
export const endlessMs: DurationRule = { unit: "ms", isEndlessAllowed: true };

const unitsMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

const unitNames = { ms: "milliseconds", s: "seconds" } as const;

/** Maximum number of characters of a refused duration that an error repeats. */
const shownLengthMax = 64;

/**
 * Milliseconds of the duration `value`; they may have a fraction, and be Infinity where `rule` allows it.
 * A plain number of seconds above durationSecsMax is refused: it was probably meant as milliseconds.
 * Throws InvalidOptionError that names `option`.
 */
export function asDuration(value: unknown, option: string, rule: DurationRule): number {
  const { unit, msMin = 0, isEndlessAllowed = false } = rule;
  if (value === Infinity && isEndlessAllowed) return Infinity;
  if (typeof value === "number" && unit === "s" && value > limits.durationSecsMax && value !== Infinity) {
    throw new InvalidOptionError({
      option,
      reason: `is ${value} seconds, more than ${limits.durationSecsMax}: probably milliseconds were meant, which are written "${value}ms"`,
    });
  }
  const ms = typeof value === "number" ? value * unitsMs[unit] : typeof value === "string" ? parsedMs(value) : Number.NaN;
  if (!Number.isFinite(ms)) {
    const endless = isEndlessAllowed ? ", nor Infinity" : "";
    throw new InvalidOptionError({
      option,
      reason: `is ${shown(value)}, neither a number of ${unitNames[unit]} nor a number with its unit ("250ms", "30s", "5m", "1h", "7d")${endless}`,
    });
  }
  if (ms < msMin) throw new InvalidOptionError({ option, reason: `is ${shown(value)}, less than ${msMin} ms` });
  return ms;
}

/** Like asDuration; undefined stays undefined. */
export function asDurationIfGiven(value: unknown, option: string, rule: DurationRule): number | undefined {
  return value === undefined ? undefined : asDuration(value, option, rule);
}

function parsedMs(text: string): number {
  const [, count, unit] = /^(\d{1,12}(?:\.\d{1,12})?)(ms|s|m|h|d)$/.exec(text) ?? [];
  return unit === undefined ? Number.NaN : Number(count) * unitsMs[unit as keyof typeof unitsMs];
}

function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, shownLengthMax));
  return typeof value === "number" ? String(value) : value === null ? "null" : typeof value;
}
