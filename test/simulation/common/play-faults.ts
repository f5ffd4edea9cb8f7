import { type Random, delay } from "../../../core/index.js";
import type { Stage } from "./stage.js";

/** Something that goes wrong, how often beside the others, and what it is called in the trace. */
export type Fault = readonly [weight: number, name: string, act: () => Promise<void>];

/** What decides when faults come. */
export interface FaultsDeps {
  readonly stage: Stage;
  readonly random: Random;
  /** From one fault to the next. */
  readonly pauseMs: readonly [min: number, max: number];
  readonly isOver: () => boolean;
}

/** One fault after the other, several at once, until it is over. */
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

/** A while of simulated time. */
export function pause({ clock }: Stage, random: Random, msMin: number, msMax: number): Promise<void> {
  return delay(clock, msMin + random.fraction() * (msMax - msMin));
}

/** One of `all`, which are some. */
export function oneOf<T>(all: readonly T[], random: Random): T {
  const chosen = all[Math.floor(random.fraction() * all.length)];
  if (chosen === undefined) throw new RangeError("there is none");
  return chosen;
}
