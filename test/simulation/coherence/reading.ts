/** Values that one read of the store gave, all as of one snapshot. */
export interface Seen {
  readonly values: readonly (readonly [key: string, value: string | undefined])[];
  /** A prefix that was listed. There were no other keys below it. */
  readonly prefix?: string | undefined;
}

/** A result of a cached function, with what it was made of. */
export interface Reading {
  /** Number of the computation that made the result. */
  readonly run: number;
  readonly seen: readonly Seen[];
  /**
   * Moment of the first failure while it was made. Such a result may go to callers that waited, and must not be kept.
   */
  readonly failedAt: number | undefined;
}

/** The error of a function that fails. Carries what the function has read. */
export class ReadFailure extends Error {
  override readonly name = "ReadFailure";
  readonly reading: Reading;

  constructor(reading: Reading) {
    super("the function fails");
    this.reading = reading;
  }
}

/** Builds a result. */
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
