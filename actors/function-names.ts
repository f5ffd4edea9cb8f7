import { InvalidOptionError } from "../words/index.js";

interface Named {
  /** Weak: a function that is wrapped in each request holds what its request has. */
  readonly fn: WeakRef<object>;
  readonly text: string;
  readonly isExplicit: boolean;
}

/** Of a bound function, which says nothing of what it does. */
const nativeText = /\{\s*\[native code\]\s*\}$/;

/**
 * Which functions were cached under which names. Two functions of one name would give each other's results. The text of a function does not tell
 * what it closes over, so that another function object under a name that was not given explicitly is refused; under one that was, the text decides,
 * where there is one.
 */
export class FunctionNames {
  readonly #named = new Map<string, Named>();

  /** Throws InvalidOptionError for another function under the same name. */
  take(name: string, fn: object, isExplicit: boolean): void {
    const known = this.#named.get(name);
    if (known?.fn.deref() === fn) return;
    const text = Function.prototype.toString.call(fn);
    if (known === undefined) {
      this.#named.set(name, { fn: new WeakRef(fn), text, isExplicit });
      return;
    }
    if (isExplicit && known.isExplicit && text === known.text && !nativeText.test(text)) return;
    throw new InvalidOptionError({
      option: "name",
      reason: `is that of another cached function, ${name}: give one of them a name or a namespace of its own`,
    });
  }
}
