import type { Floors } from "./floors.js";

interface Committed {
  readonly versions: Set<number>;
  /** Failed commits, some of which may have been applied all the same. */
  failed: number;
}

/**
 * Outcomes of all commits. Each commit writes the version after the one that it read, so a version that is written
 * twice shows a lost update.
 */
export class Commits {
  readonly #items: Floors;
  readonly #wrong: (text: string) => void;
  readonly #committed = new Map<string, Committed>();
  count = 0;
  failures = 0;

  constructor(items: Floors, wrong: (text: string) => void) {
    this.#items = items;
    this.#wrong = wrong;
  }

  get rows(): readonly string[] {
    return [...this.#committed.keys()];
  }

  /** `floor` is the version that was acknowledged before this commit began. */
  acknowledged(row: string, node: string, version: number, floor: number): void {
    const { versions } = this.#of(row);
    if (version <= floor) this.#wrong(`${node} wrote version ${version} of item/${row} after ${floor} was acknowledged`);
    if (versions.has(version)) this.#wrong(`version ${version} of item/${row} was written twice, the second time by ${node}`);
    versions.add(version);
    this.count += 1;
    this.#items.acknowledged(row, node, version, performance.now());
  }

  failed(row: string): void {
    this.#of(row).failed += 1;
    this.failures += 1;
  }

  /** Checks the version that the storage has at the end. */
  judgeEnd(row: string, version: number): void {
    const { versions, failed } = this.#of(row);
    const least = Math.max(...versions, versions.size);
    const most = versions.size + failed;
    if (version < least || version > most) this.#wrong(`item/${row} has version ${version} in the end, not ${least} to ${most}`);
  }

  #of(row: string): Committed {
    const known = this.#committed.get(row) ?? { versions: new Set<number>(), failed: 0 };
    this.#committed.set(row, known);
    return known;
  }
}
