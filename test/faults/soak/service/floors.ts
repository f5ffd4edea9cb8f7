interface Acknowledged {
  readonly version: number;
  readonly at: number;
}

/** What is known of one row. */
interface Row {
  /** Latest version that a node has itself acknowledged. */
  readonly own: Map<string, number>;
  /** Oldest first, at any node; versions grow. */
  readonly all: Acknowledged[];
}

/** The least that a node may give: versions of rows, each since when it was acknowledged, and by which node. */
export class Floors {
  readonly #rows = new Map<string, Row>();
  /** Nobody asks for what was known longer ago. */
  readonly #memoryMs: number;

  /** `memoryMs` is the longest `ageMs` of `floorAt`. */
  constructor(memoryMs: number) {
    this.#memoryMs = memoryMs;
  }

  /** `version` of `row`, and every one before it, is known to `node` at the moment `at`, and is on its way to the others. */
  acknowledged(row: string, node: string, version: number, at: number): void {
    const { all } = this.#row(row);
    this.seen(row, node, version);
    if (version <= (all.at(-1)?.version ?? 0)) return;
    all.push({ version, at });
    while (all[1] !== undefined && all[1].at < at - this.#memoryMs) all.shift();
  }

  /** `node` gave `version`: it gives no older one. */
  seen(row: string, node: string, version: number): void {
    const { own } = this.#row(row);
    own.set(node, Math.max(own.get(node) ?? 0, version));
  }

  /** What `node` knew is lost. */
  forget(node: string): void {
    for (const { own } of this.#rows.values()) own.delete(node);
  }

  /** The least version that `node` may give to a call which is made at `at`: its own, and what others knew `ageMs` before. */
  floorAt(row: string, node: string, at: number, ageMs: number): number {
    const { own, all } = this.#row(row);
    return Math.max(own.get(node) ?? 0, all.findLast((each) => each.at <= at - ageMs)?.version ?? 0);
  }

  /** How long before `at` the first version was acknowledged that replaces `version`; 0: none was. */
  ageOf(row: string, version: number, at: number): number {
    const next = this.#row(row).all.find((each) => each.version > version);
    return next === undefined ? 0 : Math.max(0, at - next.at);
  }

  #row(row: string): Row {
    const known = this.#rows.get(row) ?? { own: new Map(), all: [] };
    this.#rows.set(row, known);
    return known;
  }
}
