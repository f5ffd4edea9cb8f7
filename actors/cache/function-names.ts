import { InvalidOptionError } from "../../core/index.js";

/** A name that a function has in a cache. */
export interface TakenName {
  /**
   * `held`: by this function, and by others that are the same.
   * `freed`: the cache was closed; the function has to take the name again in the next one.
   * `replaced`: another function has it.
   */
  state: "held" | "freed" | "replaced";
}

interface Named extends TakenName {
  /** Weak: a function that is wrapped in each request holds what its request has. */
  readonly fn: WeakRef<object>;
  readonly text: string;
  readonly isExplicit: boolean;
}

/** What takes a name. */
export interface NameRequest {
  readonly name: string;
  readonly fn: object;
  /** The name was given as an option; else it is the function's own. */
  readonly isExplicit: boolean;
  /** Whether another function that has the name loses it. */
  readonly replaces: boolean;
}

/** Text of a bound function, which says nothing of what it does. */
const nativeText = /\{\s*\[native code\]\s*\}$/;

/**
 * Which functions are cached under which names, in one cache. Two functions of one name would give each other's results. The text of a function
 * does not tell what it closes over, so that another function object under a name that was not given explicitly is refused; under one that was,
 * the text decides, where there is one. A function that replaces another ends that one: its calls fail.
 */
export class FunctionNames {
  readonly #named = new Map<string, Named>();

  /** Throws InvalidOptionError for another function under the same name, unless this one replaces it. */
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

  /** Frees all names: the cache is closed. Functions that are called in the next one take theirs again. */
  free(): void {
    for (const taken of this.#named.values()) taken.state = "freed";
    this.#named.clear();
  }
}

function nameOfAnother(name: string): InvalidOptionError {
  return new InvalidOptionError({
    option: "name",
    reason: `is that of another cached function, ${name}: give one of them a name or a namespace of its own, or this one \`replace: true\` if it stands in for the other, whose module was loaded anew`,
  });
}

/** Why a function that was replaced cannot be called. */
export function nameWasTaken(name: string): InvalidOptionError {
  return new InvalidOptionError({ option: "name", reason: `is that of another cached function now, which replaced this one: ${name}` });
}
