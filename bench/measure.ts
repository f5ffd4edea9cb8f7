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

/** Runs `operation` `count` times, `inFlight` at once, and tells how many milliseconds it took. */
export async function inParallel(count: number, inFlight: number, operation: (index: number) => Promise<unknown>): Promise<number> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await operation(next++);
  };
  const begin = nowMs();
  await Promise.all(Array.from({ length: inFlight }, worker));
  return nowMs() - begin;
}

/** Times in ms of each of `count` operations, one after another. */
export async function inSequence(count: number, operation: (index: number) => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (let index = 0; index < count; index++) {
    const begin = nowMs();
    await operation(index);
    times.push(nowMs() - begin);
  }
  return times;
}
