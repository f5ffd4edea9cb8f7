import { type Random, delay } from "../../../core/index.js";
import type { Stage } from "./stage.js";

/** A fault: its weight among the faults, its name in the trace, and its action. */
export type Fault = readonly [weight: number, name: string, act: () => Promise<void>];

/** Seams and times of a sequence of faults. */
export interface FaultsDeps {
  readonly stage: Stage;
  readonly random: Random;
  /** Time from one fault to the next. */
  readonly pauseMs: readonly [min: number, max: number];
  readonly isOver: () => boolean;
}

/** Plays one fault after the other, several at once, until `isOver`. */
export async function playFaults(faults: readonly Fault[], { stage, random, pauseMs: [min, max], isOver }: FaultsDeps): Promise<void> {
  const total = faults.reduce((sum, [weight]) => sum + weight, 0);
  while (!isOver()) {
    await pause(stage, random, min, max);
    let dice = random.fraction() * total;
    const chosen = faults.find(([weight]) => (dice -= weight) < 0);
    if (chosen === undefined || isOver()) continue;
    const [, name, act] = chosen;
    stage.note("fault", name);
    act().catch((error: unknown) => stage.unlessExpected("fault", error));
  }
}

/** Waits a while of simulated time. */
export function pause({ clock }: Stage, random: Random, msMin: number, msMax: number): Promise<void> {
  return delay(clock, msMin + random.fraction() * (msMax - msMin));
}

/** One element of `all`, which is not empty. */
export function oneOf<T>(all: readonly T[], random: Random): T {
  const chosen = all[Math.floor(random.fraction() * all.length)];
  if (chosen === undefined) throw new RangeError("there is none");
  return chosen;
}
