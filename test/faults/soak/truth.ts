/** An invalidation, with the version from which results are valid. */
interface Invalidated {
  readonly version: number;
  /** On the clock of the test, taken before the node got the call. */
  readonly at: number;
}

/** The versions that one row of the database had, and the nodes that invalidated them. */
export class RowTruth {
  /** Oldest first; only invalidations since the last `settled`. */
  readonly #invalidated: Invalidated[] = [];
  /** Versions that nodes have themselves invalidated, by node. */
  readonly #own = new Map<string, number>();
  /** Version that all nodes know. */
  #settled = 0;

  invalidated(node: string, version: number, at: number): void {
    this.#invalidated.push({ version, at });
    this.#own.set(node, version);
  }

  /** Every node knows all invalidations so far. */
  settled(): void {
    this.#settled = this.#invalidated.at(-1)?.version ?? this.#settled;
    this.#invalidated.splice(0);
  }

  /** The lowest version that a node may serve to a call made now. */
  floorAt(node: string): number {
    return Math.max(this.#settled, this.#own.get(node) ?? 0);
  }

  /**
   * When `version` was first invalidated since the last `settled`. Undefined: it is current, or was replaced before
   * that.
   */
  replacedAt(version: number): number | undefined {
    return this.#invalidated.find((each) => each.version > version)?.at;
  }
}
