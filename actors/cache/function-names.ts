import { InvalidOptionError } from "../../core/index.js";

/** The claim of a function to a name in a cache. */
export interface TakenName {
  /**
   * `held`: this function has the name, together with others that are the same.
   * `freed`: the cache was closed; the function must claim the name again in the next one.
   * `replaced`: another function has the name.
   */
  state: "held" | "freed" | "replaced";
}

interface Named extends TakenName {
  /** Weak: a function that is wrapped in each request would keep the data of its request alive. */
  readonly fn: WeakRef<object>;
  readonly text: string;
  readonly isExplicit: boolean;
}

/** A request for a name. */
export interface NameRequest {
  readonly name: string;
  readonly fn: object;
  /** The name comes from an option; otherwise it is the function's own. */
  readonly isExplicit: boolean;
  /** Whether it takes the name from another function. */
  readonly replaces: boolean;
}

/** Text of a bound or native function, which does not show what it does. */
const nativeText = /\{\s*\[native code\]\s*\}$/;

/**
 * The names of the cached functions of one cache. Two functions with one name would return each other's results. The
 * text of a function does not show the variables that it closes over. So another function object under an implicit name
 * is refused; under an explicit name the texts are compared, if both have one. The calls of a replaced function fail.
 */
export class FunctionNames {
  readonly #named = new Map<string, Named>();

  /** Throws InvalidOptionError if another function has the name, unless this one replaces it. */
  claimName({ name, fn, isExplicit, replaces }: NameRequest): TakenName {
    const known = this.#named.get(name);
    if (known?.fn.deref() === fn) return known;
    const text = Function.prototype.toString.call(fn);
    if (known !== undefined) {
      if (isExplicit && known.isExplicit && text === known.text && !nativeText.test(text)) return known;
      if (!replaces) throw nameOfAnother(name);
      known.state = "replaced";
    }
    const taken: Named = { state: "held", fn: new WeakRef(fn), text, isExplicit };
    this.#named.set(name, taken);
    return taken;
  }

  /** Frees all names when the cache is closed. A function that is called in the next cache claims its name again. */
  free(): void {
    for (const taken of this.#named.values()) taken.state = "freed";
    this.#named.clear();
  }
}

function nameOfAnother(name: string): InvalidOptionError {
  return new InvalidOptionError({
    option: "name",
    reason: `is that of another cached function, ${name}: give one of them a name or a namespace of its own, or this one \`replace: true\` if it replaces the other, whose module was loaded again`,
  });
}

/** The error of a call of a replaced function. */
export function nameWasTaken(name: string): InvalidOptionError {
  return new InvalidOptionError({ option: "name", reason: `is that of another cached function now, which replaced this one: ${name}` });
}
