import type { ComputedCall, Computation } from "../tracking/computation.js";

/** A circle of calls that would wait for each other. */
export interface CallCircle {
  /** The calls as text, in order; the first and the last are the same. */
  readonly names: readonly string[];
  /** Whether the first computation returned a promise. */
  readonly isAsync: boolean;
}

/** The circle of a call within a computation of the same key: it would wait for itself. Undefined: no circle. */
export function circleAbove({ key, caller }: ComputedCall): CallCircle | undefined {
  const names: string[] = [];
  for (let above = caller; above !== undefined; above = above.caller) {
    names.unshift(above.name);
    if (above.key === key && !above.isOver) return { names: [...names, above.name], isAsync: above.isAsync };
  }
  return undefined;
}

/** Names of the circle that would close if `waiting` waited for `computation`; undefined: no circle. */
export function circleThrough(computation: Computation, waiting: Computation): readonly string[] | undefined {
  const seen = new Set<Computation>();
  const path = (at: Computation): readonly string[] | undefined => {
    if (at === waiting) return [at.name];
    if (seen.has(at)) return undefined;
    seen.add(at);
    for (const next of at.waitsFor) {
      const rest = path(next);
      if (rest !== undefined) return [at.name, ...rest];
    }
    return undefined;
  };
  const found = path(computation);
  return found === undefined ? undefined : [waiting.name, ...found];
}
