/** What is true: a number for each row, which only grows. The one database that all nodes read. */
export class Database {
  readonly #versions = new Map<string, number>();
  readonly #reads = new Map<string, number>();
  /** Readings that take their time, by row: the value is the one of the moment when they began. */
  readonly #slow = new Map<string, Promise<unknown>>();

  /** Version of a row now; the first is 1. */
  version(row: string): number {
    return this.#versions.get(row) ?? 1;
  }

  write(row: string): number {
    const version = this.version(row) + 1;
    this.#versions.set(row, version);
    return version;
  }

  /** Reads that `reader` has begun of a row. */
  reads(reader: string, row: string): number {
    return this.#reads.get(`${reader} ${row}`) ?? 0;
  }

  async read(reader: string, row: string): Promise<number> {
    this.#reads.set(`${reader} ${row}`, this.reads(reader, row) + 1);
    const version = this.version(row);
    await this.#slow.get(row);
    return version;
  }

  /** Readings of a row that begin from now on give what they read when `until` resolves; undefined: at once. */
  slow(row: string, until: Promise<unknown> | undefined): void {
    if (until === undefined) this.#slow.delete(row);
    else this.#slow.set(row, until);
  }
}
