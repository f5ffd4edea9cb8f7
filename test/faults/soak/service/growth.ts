/** One measurement of a process. */
export interface Sample {
  /** Milliseconds since the soak began. */
  readonly at: number;
  /** Name of the process, and `life`, the number of its restarts. */
  readonly process: string;
  readonly life: number;
  readonly values: Readonly<Record<string, number>>;
}

/** Allowed growth of a quantity: a share of its level, and at least `least`. */
export interface GrowthBound {
  readonly share: number;
  readonly least: number;
}

const megabyte = 1024 * 1024;

export const growthBounds: Readonly<Record<string, GrowthBound>> = {
  heap: { share: 0.05, least: 4 * megabyte },
  external: { share: 0.1, least: 8 * megabyte },
  code: { share: 0.5, least: 8 * megabyte },
  rss: { share: 0.15, least: 48 * megabyte },
  handles: { share: 0.1, least: 30 },
  results: { share: 0.1, least: 500 },
  tags: { share: 0.1, least: 500 },
  folder: { share: 0.1, least: 16 * megabyte },
};

/** A fitted line: its level at the beginning and at the end. */
export interface Growth {
  readonly process: string;
  readonly quantity: string;
  readonly level: number;
  readonly end: number;
  readonly allowed: number;
}

export interface GrowthOptions {
  /** Earlier samples are ignored, since the process still fills its caches. */
  readonly fromMs: number;
  /** How long a restarted process fills its caches. */
  readonly settleMs: number;
}

/**
 * The growth of each quantity of each process: the slope of a line by least squares, times the longest time for which
 * one life of the process is judged. The lives of a restarted process share the slope, and each has a level of its own.
 * A life with fewer than three samples is left out.
 */
export function growthsOf(samples: readonly Sample[], options: GrowthOptions): readonly Growth[] {
  return [...new Set(samples.map(({ process }) => process))].flatMap((process) => {
    const own = samples.filter((each) => each.process === process);
    const lives = [...new Set(own.map(({ life }) => life))]
      .map((life) => settledSamples(own, life, options))
      .filter(({ length }) => length > 2);
    const quantities = Object.keys(own[0]?.values ?? {});
    return lives.length === 0 ? [] : quantities.map((quantity) => growthOf(process, quantity, lives));
  });
}

/** The growths that exceed their bounds. */
export function overgrown(growths: readonly Growth[]): readonly Growth[] {
  return growths.filter(({ level, end, allowed }) => end - level > allowed);
}

function settledSamples(own: readonly Sample[], life: number, { fromMs, settleMs }: GrowthOptions): readonly Sample[] {
  const ofLife = own.filter((each) => each.life === life);
  const bornAt = life === 0 ? -Infinity : (ofLife[0]?.at ?? 0);
  return ofLife.filter(({ at }) => at >= Math.max(fromMs, bornAt + settleMs));
}

function growthOf(process: string, quantity: string, lives: readonly (readonly Sample[])[]): Growth {
  let [moved, spread] = [0, 0];
  for (const life of lives) {
    const [meanAt, mean] = [meanOf(life, ({ at }) => at), meanOf(life, ({ values }) => values[quantity] ?? 0)];
    for (const { at, values } of life) {
      moved += (at - meanAt) * ((values[quantity] ?? 0) - mean);
      spread += (at - meanAt) ** 2;
    }
  }
  const slope = spread === 0 ? 0 : moved / spread;
  const spanMs = Math.max(...lives.map((life) => (life.at(-1)?.at ?? 0) - (life[0]?.at ?? 0)));
  const middle = meanOf(lives.flat(), ({ values }) => values[quantity] ?? 0);
  const [level, end] = [middle - (slope * spanMs) / 2, middle + (slope * spanMs) / 2];
  const { share, least } = growthBounds[quantity] ?? { share: Infinity, least: Infinity };
  return { process, quantity, level, end, allowed: Math.max(share * level, least) };
}

function meanOf(samples: readonly Sample[], value: (sample: Sample) => number): number {
  return samples.reduce((sum, sample) => sum + value(sample), 0) / samples.length;
}
