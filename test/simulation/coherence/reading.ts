/** What one read of the store gave, all of it as of one snapshot. */
export interface Seen {
  readonly values: readonly (readonly [key: string, value: string | undefined])[];
  /** A prefix that was listed: there were no other keys below it. */
  readonly prefix?: string | undefined;
}

/** A result of a cached function, as it tells what it was made of. */
export interface Reading {
  /** Number of the computation that made it. */
  readonly run: number;
  readonly seen: readonly Seen[];
  /** Something failed while it was made, at this moment (the earliest): it may be given to those who waited, and not be kept. */
  readonly failedAt: number | undefined;
}

/** A function throws, with what it has read. */
export class ReadFailure extends Error {
  override readonly name = "ReadFailure";
  readonly reading: Reading;

  constructor(reading: Reading) {
    super("the function fails");
    this.reading = reading;
  }
}

/** A result while it is made. */
export class ReadingBuilder {
  readonly #run: number;
  readonly #seen: Seen[] = [];
  #failedAt: number | undefined;

  constructor(run: number) {
    this.#run = run;
  }

  see(seen: Seen): void {
    this.#seen.push(seen);
  }

  use({ seen, failedAt }: Reading): void {
    this.#seen.push(...seen);
    if (failedAt !== undefined) this.fail(failedAt);
  }

  fail(at: number): void {
    this.#failedAt = Math.min(at, this.#failedAt ?? Infinity);
  }

  get reading(): Reading {
    return { run: this.#run, seen: [...this.#seen], failedAt: this.#failedAt };
  }
}
