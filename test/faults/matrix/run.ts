import { type CellFigures, type Tier, tiers, type Way, ways } from "./cell.js";
import type { Row } from "./rows.js";
import { Stage } from "./stage.js";

export interface MatrixOptions {
  readonly rows: readonly Row[];
  readonly runs: number;
  readonly cutMs: number;
  /** Number of rows that are played at the same time. */
  readonly jobs: number;
  readonly tiers?: readonly Tier[] | undefined;
  readonly ways?: readonly Way[] | undefined;
}

/** Result of one run of one cell. */
export interface CellResult extends CellFigures {
  readonly row: string;
  /** Something was away for as long as the options say. */
  readonly isCut: boolean;
  readonly run: number;
  readonly tier: Tier;
  readonly way: Way;
  /** Faults found; empty when the run was right. */
  readonly wrongs: readonly string[];
  /** The last log lines of the nodes, when the run was wrong. */
  readonly story: string;
}

/** Plays all rows, `jobs` at a time, and yields the results as they come. */
export async function* playMatrix(options: MatrixOptions): AsyncGenerator<readonly CellResult[]> {
  const { rows, runs, jobs } = options;
  // The rows that wait longest begin first.
  const inOrder = [...rows.filter(({ isCut }) => isCut), ...rows.filter(({ isCut }) => !isCut)];
  const left = Array.from({ length: runs }, (_, run) => inOrder.map((row) => ({ row, run: run + 1 }))).flat();
  const playing = new Set<Promise<readonly CellResult[]>>();
  while (left.length > 0 || playing.size > 0) {
    while (playing.size < jobs) {
      const next = left.shift();
      if (next === undefined) break;
      const played: Promise<readonly CellResult[]> = playRow(next.row, next.run, options).finally(() => playing.delete(played));
      playing.add(played);
    }
    yield await Promise.race(playing);
  }
}

/** Plays one row on a stage of its own. */
export async function playRow(row: Row, run: number, options: MatrixOptions): Promise<readonly CellResult[]> {
  const played = options.tiers ?? tiers;
  const stage = await Stage.open({
    cutMs: options.cutMs,
    ways: options.ways ?? ways,
    ...row.options,
    tiers: (row.tiers ?? tiers).filter((tier) => played.includes(tier)),
  });
  try {
    try {
      await row.play(stage);
    } catch (error) {
      for (const cell of stage.cells) cell.wrong(`it could not be played: ${String(error instanceof Error ? error.message : error)}`);
    }
    return await Promise.all(
      stage.cells.map(async (cell): Promise<CellResult> => {
        const { tier, way, wrongs, figures } = cell;
        const story = wrongs.length === 0 ? "" : await cell.story(stage.members);
        return { row: row.title, isCut: row.isCut, run, tier, way, wrongs, story, ...figures };
      }),
    );
  } finally {
    await stage.close();
  }
}
