import type { ObjectRead } from "../../core/object-read.js";
import { InvalidTagError, limits, type Tag } from "../../core/index.js";

/** A function that computes results. */
export interface ComputedWork {
  readonly name: string;
  /** Called with the error for a text that is no tag: the result is returned then, and not kept. Undefined: the call fails, unless a call that it is a part of has one. */
  readonly onInvalidTag?: ((error: InvalidTagError, call: ComputedCall) => void) | undefined;
}

/** The call that a computation runs for. */
export interface ComputedCall {
  readonly work: ComputedWork;
  /** Key of the result. */
  readonly key: string;
  readonly self: unknown;
  readonly args: readonly unknown[];
  /** The computation that it is a part of. */
  readonly caller: Computation | undefined;
}

/** What a result depends on. */
export interface Used {
  readonly tags: readonly Tag[];
  /** What was read of object stores. */
  readonly reads: readonly ObjectRead[];
}

/** Of results that no storage was read for. */
export const noReads: readonly ObjectRead[] = [];

/**
 * One run of a cached function: what it used so far, and for whom it runs.
 * Found from within the function, across awaits, by the AsyncLocalStorage of its cache.
 */
export class Computation implements Used {
  readonly #call: ComputedCall;
  /** Computations that it has asked for and that are under way: what circles are found by. */
  readonly waitsFor = new Set<Computation>();
  /** It gave a promise, and is over when that is settled. */
  isAsync = false;
  /** Its function was called. */
  hasStarted = false;
  /** When that was; undefined: nobody measures it. */
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

  /** The call in words, for people. */
  get name(): string {
    return describeCall(this.#call.work.name, this.#call.args);
  }

  /** In whose run this one was asked for. */
  get caller(): Computation | undefined {
    return this.#call.caller;
  }

  /** What it depends on. The list it was given, as long as there is nothing else: results of one function share it. */
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

  /** It used no stale value, and not more than can be remembered; once it is over: it waited for all that it began to read or to compute. */
  get isKeepable(): boolean {
    return this.#isKeepable;
  }

  /** The result depends on `tags` too. Past the bound on tags it is still given, but not kept. */
  use(tags: readonly Tag[], isKeepable = true): void {
    if (this.#isOver) return;
    if (!isKeepable) this.#isKeepable = false;
    for (const tag of tags) this.#tags.add(tag);
    if (this.#tags.size + this.#given.length > limits.entryTagsMax) {
      this.#isKeepable = false;
      this.#tags.clear();
    }
  }

  /** Whether the function, or one that it is a part of, goes on where `error` says what is no tag: its result is given then, and not kept. */
  takes(error: unknown): boolean {
    if (!(error instanceof InvalidTagError)) return false;
    const { onInvalidTag } = this.#call.work;
    if (onInvalidTag === undefined) {
      if (this.caller?.takes(error) !== true) return false;
    } else onInvalidTag(error, this.#call);
    this.use([], false);
    return true;
  }

  /** The result depends on what was read of an object store too. Past the bound it is given, and not kept. */
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
   * A read of an object store, or a call of another cache that may be one, is under way for it until `endRead`. If it is over before, it gives
   * what it might not give a moment later.
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

/** Arguments that tell one call from another, in few words, for people. */
const argumentLengthMax = 40;

/** `name(arguments)`. */
function describeCall(name: string, args: readonly unknown[]): string {
  const shown = args.map((arg) => {
    const text = typeof arg === "object" && arg !== null ? (Array.isArray(arg) ? "[…]" : "{…}") : String(arg);
    return text.length > argumentLengthMax ? `${text.slice(0, argumentLengthMax)}…` : text;
  });
  return `${name}(${shown.join(", ")})`;
}
