import { type Clock, systemClock } from "./clock.js";
import { type Log, silentLog } from "./log.js";
import { type Random, systemRandom } from "./random.js";

/** The world around a part: time, chance and a log. Tests and simulation give their own. */
export interface Seams {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** Seams that a user may give. */
export interface SeamOptions {
  /** Source of time, for tests. Default: the system's clocks. */
  readonly clock?: Clock | undefined;
  /** Source of random ids, for tests. Default: the system's. */
  readonly random?: Random | undefined;
  /** Any pino logger. Default: nothing is logged. */
  readonly log?: Log | undefined;
}

/** The given seams, and those of the system in place of the others. */
export function seamsOf({ clock = systemClock, random = systemRandom, log = silentLog }: SeamOptions): Seams {
  return { clock, random, log };
}
