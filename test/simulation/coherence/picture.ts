/** What one read of the store gave, all of it as of one snapshot. */
export interface Seen {
  readonly values: readonly (readonly [key: string, value: string | undefined])[];
  /** A prefix that was listed: there were no other keys below it. */
  readonly prefix?: string | undefined;
}

/** A result of a cached function, as it tells what it was made of. */
export interface Picture {
  /** Number of the computation that made it. */
  readonly run: number;
  readonly seen: readonly Seen[];
  /** Something failed while it was made, at this moment (the earliest): it may be given to those who waited, and not be kept. */
  readonly failedAt: number | undefined;
}

/** A function throws, with what it has read. */
export class ReadFailure extends Error {
  override readonly name = "ReadFailure";
  readonly picture: Picture;

  constructor(picture: Picture) {
    super("the function fails");
    this.picture = picture;
  }
}

/** A result while it is made. */
export class PictureMaking {
  readonly #run: number;
  readonly #seen: Seen[] = [];
  #failedAt: number | undefined;

  constructor(run: number) {
    this.#run = run;
  }

  see(seen: Seen): void {
    this.#seen.push(seen);
  }

  use({ seen, failedAt }: Picture): void {
    this.#seen.push(...seen);
    if (failedAt !== undefined) this.fail(failedAt);
  }

  fail(at: number): void {
    this.#failedAt = Math.min(at, this.#failedAt ?? Infinity);
  }

  get picture(): Picture {
    return { run: this.#run, seen: [...this.#seen], failedAt: this.#failedAt };
  }
}
