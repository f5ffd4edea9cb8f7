import type { Outcome } from "./outcome.js";

/** Violations of one kind. */
export interface FailedKind {
  readonly kind: string;
  readonly seeds: number[];
  /** Message of the first of them. */
  readonly example: string;
}

/** The result of many seeds. */
export class Summary {
  ran = 0;
  simulatedMs = 0;
  readonly counts: Record<string, number> = {};
  readonly #kinds = new Map<string, FailedKind>();

  add({ seed, violation, simulatedMs, counts }: Outcome): void {
    this.ran++;
    this.simulatedMs += simulatedMs;
    for (const [name, value] of Object.entries(counts)) this.counts[name] = (this.counts[name] ?? 0) + value;
    if (violation === undefined) return;
    const { kind, message } = violation;
    const known = this.#kinds.get(kind) ?? { kind, seeds: [], example: message };
    this.#kinds.set(kind, known);
    known.seeds.push(seed);
  }

  get failed(): number {
    return this.kinds.reduce((sum, { seeds }) => sum + seeds.length, 0);
  }

  /** The most frequent kind first. */
  get kinds(): readonly FailedKind[] {
    return [...this.#kinds.values()].toSorted((one, other) => other.seeds.length - one.seeds.length);
  }
}
