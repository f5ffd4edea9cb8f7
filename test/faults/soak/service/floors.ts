interface Acknowledged {
  readonly version: number;
  readonly at: number;
}

/** Acknowledged versions of one row. */
interface Row {
  /** By node: the latest version that the node has acknowledged or served. */
  readonly own: Map<string, number>;
  /** Acknowledged versions of all nodes, oldest first; versions grow. */
  readonly all: Acknowledged[];
}

/**
 * The lowest version of each row that a node may serve, from the time of its acknowledgement and from the node that
 * acknowledged it.
 */
export class Floors {
  readonly #rows = new Map<string, Row>();
  /** Older acknowledgements are never asked for. */
  readonly #memoryMs: number;

  /** `memoryMs` is the longest `ageMs` of `floorAt`. */
  constructor(memoryMs: number) {
    this.#memoryMs = memoryMs;
  }

  /**
   * At the moment `at`, `node` has acknowledged `version` of `row` and all versions before it; the other nodes will
   * receive them.
   */
  acknowledged(row: string, node: string, version: number, at: number): void {
    const { all } = this.#row(row);
    this.seen(row, node, version);
    if (version <= (all.at(-1)?.version ?? 0)) return;
    all.push({ version, at });
    while (all[1] !== undefined && all[1].at < at - this.#memoryMs) all.shift();
  }

  /** `node` served `version`, and must serve no older one. */
  seen(row: string, node: string, version: number): void {
    const { own } = this.#row(row);
    own.set(node, Math.max(own.get(node) ?? 0, version));
  }

  /** `node` has lost its state. */
  forget(node: string): void {
    for (const { own } of this.#rows.values()) own.delete(node);
  }

  /**
   * The lowest version that `node` may serve to a call made at `at`: its own latest, or the latest that was
   * acknowledged `ageMs` before.
   */
  floorAt(row: string, node: string, at: number, ageMs: number): number {
    const { own, all } = this.#row(row);
    return Math.max(own.get(node) ?? 0, all.findLast((each) => each.at <= at - ageMs)?.version ?? 0);
  }

  /** How long before `at` a version was acknowledged that replaces `version`. 0: none was. */
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
