import type { Result } from "./report.js";

/** Arithmetic of the benches: times in ms or ns as named, one median over rounds, order statistics over operations. */

/** Now, in ms, on a clock that all processes of this machine share. */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

export function percentile(values: readonly number[], fraction: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

/** Runs `operation` `count` times, `inFlight` at once. Returns the milliseconds it took. */
export async function inParallel(count: number, inFlight: number, operation: (index: number) => Promise<unknown>): Promise<number> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await operation(next++);
  };
  const begin = nowMs();
  await Promise.all(Array.from({ length: inFlight }, worker));
  return nowMs() - begin;
}

/** Milliseconds of each of `count` operations, one after another. */
export async function inSequence(count: number, operation: (index: number) => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (let index = 0; index < count; index++) {
    const begin = nowMs();
    await operation(index);
    times.push(nowMs() - begin);
  }
  return times;
}

/** Two ways to do the same, measured in turn. */
export interface Compared {
  readonly name: string;
  readonly unit: string;
  /** Operations of each round. */
  readonly count: number;
  /** Default: 5, after one that does not count. Many short rounds give the same result on a busy machine too. */
  readonly rounds?: number;
  readonly ours: () => Promise<number> | number;
  readonly bare: () => Promise<number> | number;
  readonly isCorrect: () => boolean;
}

/** Runs both in turn, round by round, so that other load of the machine affects both alike. */
export async function compare({ name, unit, count, rounds = 5, ours, bare, isCorrect }: Compared): Promise<Result> {
  const values: number[] = [];
  const limits: number[] = [];
  for (let round = -1; round < rounds; round++) {
    const took = await ours();
    const limit = await bare();
    if (round < 0) continue;
    values.push(took);
    limits.push(limit);
  }
  const ratio = median(values.map((each, round) => each / (limits[round] ?? Number.NaN)));
  return { name, value: median(values), unit, limit: median(limits), ratio, correct: isCorrect(), n: rounds * count };
}

/** Nanoseconds of each of the `count` operations that `run` does. */
export async function perOperation(count: number, run: () => Promise<void> | void): Promise<number> {
  const begin = nowMs();
  await run();
  return ((nowMs() - begin) / count) * 1e6;
}
