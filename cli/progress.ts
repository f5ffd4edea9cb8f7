import type { Clock } from "../core/index.js";

export interface ProgressReport {
  readonly rows: number;
  readonly bytes: number;
  readonly elapsedMs: number;
  readonly rowsPerSecond: number;
  readonly bytesPerSecond: number;
  /** Undefined while the total is not known. */
  readonly remainingMs: number | undefined;
}

export interface ProgressOptions {
  readonly clock: Clock;
  readonly intervalMs: number;
  /** Number of bytes in all, when known. */
  readonly bytesTotal?: number | undefined;
  readonly rowsTotal?: number | undefined;
  readonly report: (report: ProgressReport) => void;
}

/** Counts rows and bytes, and reports them at most once in `intervalMs`. */
export class Progress {
  readonly #options: ProgressOptions;
  readonly #startMs: number;
  #reportedMs: number;
  #rows = 0;
  #bytes = 0;

  constructor(options: ProgressOptions) {
    this.#options = options;
    this.#startMs = options.clock.monotonic();
    this.#reportedMs = this.#startMs;
  }

  countRows(rows: number, bytes: number): void {
    this.#rows += rows;
    this.#bytes += bytes;
    const nowMs = this.#options.clock.monotonic();
    if (nowMs - this.#reportedMs < this.#options.intervalMs) return;
    this.#reportedMs = nowMs;
    this.#options.report(this.current());
  }

  current(): ProgressReport {
    const elapsedMs = this.#options.clock.monotonic() - this.#startMs;
    const perMs = (count: number) => (elapsedMs > 0 ? count / elapsedMs : 0);
    const left = (total: number | undefined, done: number) =>
      total === undefined || done === 0 ? undefined : (Math.max(0, total - done) / done) * elapsedMs;
    return {
      rows: this.#rows,
      bytes: this.#bytes,
      elapsedMs: Math.round(elapsedMs),
      rowsPerSecond: Math.round(perMs(this.#rows) * 1_000),
      bytesPerSecond: Math.round(perMs(this.#bytes) * 1_000),
      remainingMs: left(this.#options.bytesTotal, this.#bytes) ?? left(this.#options.rowsTotal, this.#rows),
    };
  }
}

/** `12,000 rows, 3,400 rows/s, 1.2 MB/s, 14 s left`. */
export function progressLine(report: ProgressReport): string {
  const parts = [
    `${count(report.rows)} rows`,
    `${count(report.rowsPerSecond)} rows/s`,
    `${size(report.bytesPerSecond)}/s`,
    ...(report.remainingMs === undefined ? [] : [`${duration(report.remainingMs)} left`]),
  ];
  return parts.join(", ");
}

/** A whole number with commas. */
export function count(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

/** Bytes for people: `512 B`, `3.4 kB`, `1.2 MB`. */
export function size(bytes: number): string {
  if (bytes < 1_000) return `${Math.round(bytes)} B`;
  if (bytes < 1_000_000) return `${(bytes / 1_000).toFixed(1)} kB`;
  return bytes < 1_000_000_000 ? `${(bytes / 1_000_000).toFixed(1)} MB` : `${(bytes / 1_000_000_000).toFixed(1)} GB`;
}

/** A duration for people: `0.24 ms`, `12 ms`, `3.4 s`, `2 min`. */
export function duration(ms: number): string {
  const length = Math.abs(ms);
  if (length < 10) return `${ms.toFixed(2)} ms`;
  if (length < 1_000) return `${Math.round(ms)} ms`;
  if (length < 120_000) return `${(ms / 1_000).toFixed(1)} s`;
  return length < 7_200_000 ? `${Math.round(ms / 60_000)} min` : `${Math.round(ms / 3_600_000)} h`;
}
