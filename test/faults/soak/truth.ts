/** When something was invalidated, and up to which version. */
interface Invalidated {
  readonly version: number;
  /** On the clock of the test, before the node was told. */
  readonly at: number;
}

/** What one row of the database is known to have been, and who has said so. */
export class RowTruth {
  /** Oldest first; what a read may still show to be stale. */
  readonly #invalidated: Invalidated[] = [];
  /** Versions that nodes have themselves invalidated, by node. */
  readonly #own = new Map<string, number>();
  /** Version that all nodes were told of. */
  #settled = 0;

  invalidated(node: string, version: number, at: number): void {
    this.#invalidated.push({ version, at });
    this.#own.set(node, version);
  }

  /** All nodes know all that was invalidated. */
  settled(): void {
    this.#settled = this.#invalidated.at(-1)?.version ?? this.#settled;
    this.#invalidated.splice(0);
  }

  /** The least that a node may give to a call that is made now. */
  floorAt(node: string): number {
    return Math.max(this.#settled, this.#own.get(node) ?? 0);
  }

  /** When `version` was first invalidated, of what is not settled; undefined: it is true, or was settled long ago. */
  replacedAt(version: number): number | undefined {
    return this.#invalidated.find((each) => each.version > version)?.at;
  }
}
