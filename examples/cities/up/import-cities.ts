import type { Value } from "../../../index.js";
import type { Clock } from "../../../core/index.js";
import type { NumberedRow } from "../../../cli/ndjson.js";
import { Progress } from "../../../cli/progress.js";
import { putRows, type RowStore, rowsPerTransaction } from "../../../cli/put-rows.js";
import { type Cities, citiesMarker } from "./cities.js";
import type { Report } from "./report.js";

const reportIntervalMs = 1_000;

/** A store that can be read, too. */
export interface CityStore extends RowStore {
  get(key: string): Promise<Value | undefined>;
  getMany(keys: readonly string[]): Promise<readonly (Value | undefined)[]>;
  put(key: string, value: Value): Promise<unknown>;
}

export interface ImportCitiesOptions {
  readonly store: CityStore;
  readonly cities: Cities;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly report: Report;
}

/**
 * Imports the cities once: a marker, written last, says that the import is complete. An interrupted import goes on
 * where it stopped: its transactions always have the same rows, so a transaction whose last row is stored is stored as
 * a whole.
 */
export async function importCities({ store, cities, clock, signal, report }: ImportCitiesOptions): Promise<void> {
  const { rows, version } = cities;
  const startMs = clock.monotonic();
  const marker = await store.get(citiesMarker);
  const isIn = isMarker(marker) && marker.version === version && marker.rows >= rows.length;
  const reportRows = (state: "running" | "done", done: number, rowsPerSecond: number) =>
    report({ event: "import", state, rows: done, of: rows.length, rowsPerSecond, ms: clock.monotonic() - startMs });
  if (isIn) {
    reportRows("done", 0, 0);
    return;
  }
  const there = await keysThere(store, rows);
  let imported = 0;
  const progress = new Progress({
    clock,
    intervalMs: reportIntervalMs,
    report: ({ rowsPerSecond }) => reportRows("running", imported, rowsPerSecond),
  });
  const result = await putRows(store, inOrder(rows), {
    signal,
    isThere: (batch) => {
      const isThere = there.has(batch.at(-1)?.key ?? "");
      if (isThere) imported += batch.length;
      return isThere;
    },
    onDurable: (added, bytes) => {
      imported += added;
      progress.countRows(added, bytes);
    },
  });
  if (result.error !== undefined) throw result.error;
  await store.put(citiesMarker, { version, rows: rows.length });
  reportRows("done", imported, progress.current().rowsPerSecond);
}

/** Keys of stored rows, among the rows that end a transaction. */
async function keysThere(store: CityStore, rows: readonly NumberedRow[]): Promise<ReadonlySet<string>> {
  const keys = rows.filter((_, index) => (index + 1) % rowsPerTransaction === 0 || index === rows.length - 1).map(({ key }) => key);
  const values = await store.getMany(keys);
  return new Set(keys.filter((_, index) => values[index] !== undefined));
}

function isMarker(value: Value | undefined): value is { readonly version: string; readonly rows: number } {
  if (typeof value !== "object" || value === null || !("rows" in value) || !("version" in value)) return false;
  return typeof value.rows === "number" && typeof value.version === "string";
}

async function* inOrder(rows: readonly NumberedRow[]): AsyncGenerator<NumberedRow> {
  yield* rows;
}
