import type { CacheChecker, Made } from "./cache-checker.js";

/** Rows by group. Two groups with a dot, so that `x.y:1` and `x:y.1` are two tags. */
export const groups = { a: ["1", "2", "3"], "x.y": ["1", "2"], x: ["y.1", "z"] } as const;

/** Names of all rows: `group/row`. */
export const rows: readonly string[] = Object.entries(groups).flatMap(([group, names]) => names.map((name) => `${group}/${name}`));

/** The tag of a row. The tags of its group and of all rows are above it. */
export const tagOf = (row: string): string => `r:${row.replace("/", ":")}`;

interface Row {
  version: number;
  /** Moment of the last change. */
  changed: number;
}

/** The data that cached functions read: rows that users change now and then. It knows no cache. */
export class Database {
  readonly #checker: CacheChecker;
  readonly #rows = new Map<string, Row>(rows.map((name) => [name, { version: 1, changed: 0 }]));

  constructor(checker: CacheChecker) {
    this.#checker = checker;
  }

  change(name: string): void {
    const row = this.row(name);
    row.version++;
    row.changed = this.#checker.next();
  }

  row(name: string): Readonly<Row> & { version: number; changed: number } {
    const row = this.#rows.get(name);
    if (row === undefined) throw new RangeError(`no row ${name}`);
    return row;
  }
}

/** One run of a function that reads the database: its dependencies, and the moments since when they count. */
export class Making {
  readonly #database: Database;
  readonly #began: number;
  readonly #marks = new Map<string, number>();
  readonly #rows: Record<string, number> = {};

  readonly #run: number;

  constructor(database: Database, began: number, run: number) {
    this.#database = database;
    this.#began = began;
    this.#run = run;
  }

  dependOn(tag: string): void {
    this.#mark(tag, this.#began);
  }

  read(row: string): void {
    this.#note(row, this.#database.row(row).version);
  }

  use({ marks, rows: used }: Made): void {
    for (const [tag, moment] of marks) this.#mark(tag, moment);
    for (const [row, version] of Object.entries(used)) this.#note(row, version);
  }

  get made(): Made {
    return { run: this.#run, marks: [...this.#marks], rows: { ...this.#rows } };
  }

  #mark(tag: string, moment: number): void {
    this.#marks.set(tag, Math.min(moment, this.#marks.get(tag) ?? Infinity));
  }

  #note(row: string, version: number): void {
    this.#rows[row] = Math.min(version, this.#rows[row] ?? Infinity);
  }
}

/** The database did not answer. Carries what the function had read until then. */
export class DatabaseFailure extends Error {
  override readonly name = "DatabaseFailure";
  readonly made: Made;

  constructor(made: Made) {
    super("the database does not answer");
    this.made = made;
  }
}
