import { InvalidTagError, limits, type ObjectRead, type Tag } from "../../core/index.js";

/** A function that computes results. */
export interface ComputedWork {
  readonly name: string;
  /**
   * Called with the error for a text that is not a tag; the result is then returned, but not kept. Undefined: the call
   * fails, unless an outer call has one.
   */
  readonly onInvalidTag?: ((error: InvalidTagError, call: ComputedCall) => void) | undefined;
}

/** The call that a computation runs for. */
export interface ComputedCall {
  readonly work: ComputedWork;
  /** Key of the result. */
  readonly key: string;
  readonly self: unknown;
  readonly args: readonly unknown[];
  /** The outer computation that this call is a part of. */
  readonly caller: Computation | undefined;
}

/** Dependencies of a result. */
export interface Used {
  readonly tags: readonly Tag[];
  /** Reads of object stores. */
  readonly reads: readonly ObjectRead[];
}

/** The reads of results that used no storage. */
export const noReads: readonly ObjectRead[] = [];

/**
 * One run of a cached function: the dependencies it used so far, and the call it runs for. The AsyncLocalStorage of its
 * cache finds it from within the function, across awaits.
 */
export class Computation implements Used {
  readonly #call: ComputedCall;
  /** Computations that it called and that are not over. Cycles are found with this. */
  readonly waitsFor = new Set<Computation>();
  /** It returned a promise, and is over when the promise settles. */
  isAsync = false;
  /** Its function was called. */
  hasStarted = false;
  /** When that was, in milliseconds; undefined: the time is not measured. */
  startedMs: number | undefined;
  readonly #tags = new Set<Tag>();
  #given: readonly Tag[];
  #reads: Set<ObjectRead> | undefined;
  #listed: readonly ObjectRead[] | undefined;
  #readsUnderWay = 0;
  #isOver = false;
  #isKeepable = true;

  constructor(call: ComputedCall, tags: readonly Tag[]) {
    this.#call = call;
    this.#given = tags;
  }

  /** Key of the result. */
  get key(): string {
    return this.#call.key;
  }

  /** The call as text, for people. */
  get name(): string {
    return describeCall(this.#call.work.name, this.#call.args);
  }

  /** The computation that called this one. */
  get caller(): Computation | undefined {
    return this.#call.caller;
  }

  /** Its tags. With no others added, this is the list it was given, so results of one function share it. */
  get tags(): readonly Tag[] {
    if (this.#tags.size === 0) return this.#given;
    this.#given = [...new Set([...this.#given, ...this.#tags])];
    this.#tags.clear();
    return this.#given;
  }

  get reads(): readonly ObjectRead[] {
    if (this.#reads === undefined) return noReads;
    return (this.#listed ??= [...this.#reads]);
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /**
   * True as long as it used no stale value, and at most as many dependencies as can be remembered. Once it is over:
   * also if it waited for all reads and computations that it began.
   */
  get isKeepable(): boolean {
    return this.#isKeepable;
  }

  /** Adds `tags` to the dependencies. Past the bound on tags the result is returned, but not kept. */
  use(tags: readonly Tag[], isKeepable = true): void {
    if (this.#isOver) return;
    if (!isKeepable) this.#isKeepable = false;
    for (const tag of tags) this.#tags.add(tag);
    if (this.#tags.size + this.#given.length > limits.entryTagsMax) {
      this.#isKeepable = false;
      this.#tags.clear();
    }
  }

  /**
   * Whether the function, or an outer call, continues although `error` reports a text that is not a tag: the result is
   * then returned, but not kept.
   */
  takes(error: unknown): boolean {
    if (!(error instanceof InvalidTagError)) return false;
    const { onInvalidTag } = this.#call.work;
    if (onInvalidTag === undefined) {
      if (this.caller?.takes(error) !== true) return false;
    } else onInvalidTag(error, this.#call);
    this.use([], false);
    return true;
  }

  /** Adds reads of an object store to the dependencies. Past the bound the result is returned, but not kept. */
  useReads(reads: readonly ObjectRead[]): void {
    if (this.#isOver || reads.length === 0) return;
    this.#listed = undefined;
    const all = (this.#reads ??= new Set());
    for (const read of reads) all.add(read);
    if (all.size <= limits.entryObjectsMax) return;
    this.#isKeepable = false;
    all.clear();
  }

  /**
   * A read of an object store, or a call of another cache that may read one, is in progress for this computation until
   * `endRead`. If the computation is over before that, its result might be different a moment later.
   */
  beginRead(): void {
    this.#readsUnderWay++;
  }

  endRead(): void {
    this.#readsUnderWay--;
  }

  end(): void {
    if (this.#readsUnderWay > 0 || this.waitsFor.size > 0) this.#isKeepable = false;
    this.#isOver = true;
  }
}

/** Largest number of characters of one argument in `describeCall`. */
const argumentLengthMax = 40;

/** `name(arguments)`. */
function describeCall(name: string, args: readonly unknown[]): string {
  const shown = args.map((arg) => {
    const text = typeof arg === "object" && arg !== null ? (Array.isArray(arg) ? "[…]" : "{…}") : String(arg);
    return text.length > argumentLengthMax ? `${text.slice(0, argumentLengthMax)}…` : text;
  });
  return `${name}(${shown.join(", ")})`;
}
