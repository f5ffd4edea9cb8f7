/** The source of truth: a number for each row, which only grows. All nodes read this one database. */
export class Database {
  readonly #versions = new Map<string, number>();
  readonly #reads = new Map<string, number>();
  /** Pending delays of slow reads, by row. A slow read returns the version of the moment when it began. */
  readonly #slow = new Map<string, Promise<unknown>>();

  /** Current version of a row; the first is 1. */
  version(row: string): number {
    return this.#versions.get(row) ?? 1;
  }

  write(row: string): number {
    const version = this.version(row) + 1;
    this.#versions.set(row, version);
    return version;
  }

  /** Number of reads of a row that `reader` has begun. */
  reads(reader: string, row: string): number {
    return this.#reads.get(`${reader} ${row}`) ?? 0;
  }

  async read(reader: string, row: string): Promise<number> {
    this.#reads.set(`${reader} ${row}`, this.reads(reader, row) + 1);
    const version = this.version(row);
    await this.#slow.get(row);
    return version;
  }

  /** Reads of a row that begin from now on return once `until` resolves. Undefined: at once. */
  slow(row: string, until: Promise<unknown> | undefined): void {
    if (until === undefined) this.#slow.delete(row);
    else this.#slow.set(row, until);
  }
}
