import { type ArgumentsKey, argumentsKey, keyTag, resultKey, scopeText } from "../../storage/results/result-key.js";
import { entryBytes, EntrySlot } from "../../storage/results/memory-entry.js";
import { InvalidOptionError, isThenable, limits, rootTag, SyncTierError, type Tag } from "../../core/index.js";
import { durationOf } from "./options.js";
import type { CacheCore } from "./core.js";
import { type AnyCacheableOptions, type CacheableOptions, checkCacheableOptions } from "./cacheable-options.js";
import type { CachedCalls } from "./cached-calls.js";
import type { Call, KeepingRules, Work } from "./cached-work.js";
import type { Entry } from "../../storage/results/entry-store.js";
import { FunctionNames, type NameRequest, nameWasTaken } from "./function-names.js";
import type { Publication } from "./outbox.js";
import { ResultShare } from "./result-share.js";
import { asTags } from "./tag-list.js";

/** Any function, with its own types, including `this`. */
export type AnyFunction = (...args: never[]) => unknown;

/** Arguments of a call, by any of the overloads of a function, up to four of them. */
export type ArgumentsOf<Fn extends AnyFunction> = Fn extends {
  (...args: infer A): unknown;
  (...args: infer B): unknown;
  (...args: infer C): unknown;
  (...args: infer D): unknown;
}
  ? A | B | C | D
  : Parameters<Fn>;

/** A cached function: the function itself, with methods for its results. */
export type Cached<Fn extends AnyFunction> = Fn & {
  /** Key of a result. */
  readonly key: (...args: ArgumentsOf<Fn>) => string;
  /** Invalidates the result of these arguments at all nodes. */
  readonly invalidate: (...args: ArgumentsOf<Fn>) => Promise<Publication>;
  /** Computes the result again, even if one is kept. */
  readonly refresh: Fn;
};

/** Calls whose keys are remembered by their arguments; past this bound all are forgotten and built again. */
const slotsMax = 10_000;

const everything: readonly Tag[] = [rootTag];

/** A function and its options at one cache. */
export class BoundFunction implements Work {
  readonly name: string;
  readonly rules: KeepingRules;
  readonly ttlMsOf: Work["ttlMsOf"];
  readonly onInvalidTag: Work["onInvalidTag"];
  readonly core: CacheCore;
  readonly #calls: CachedCalls;
  readonly #fn: AnyFunction;
  readonly #options: AnyCacheableOptions;
  readonly #scope: string;
  readonly #tags: readonly Tag[] | undefined;
  /**
   * Slots of calls with one argument that is its own key, by that argument. They are separate from the others, so that
   * an argument is never mistaken for the text of other arguments.
   */
  readonly #plainSlots = new Map<unknown, EntrySlot>();
  readonly #slots = new Map<ArgumentsKey, EntrySlot>();
  /** Bounds of its results; undefined: only those of the cache. */
  readonly #share: ResultShare | undefined;
  #isAsync: boolean | undefined;

  constructor(core: CacheCore, fn: AnyFunction, options: AnyCacheableOptions) {
    const { name = fn.name, deps, ttl, onInvalidTag } = options;
    this.core = core;
    this.#calls = core.calls;
    this.name = name;
    this.#fn = fn;
    this.#options = options;
    this.#scope = core.scope(scopeOf(fn, options));
    const isTtlOfEach = typeof ttl === "function";
    this.rules = core.rules({ ...options, ttl: isTtlOfEach ? undefined : ttl });
    this.ttlMsOf = isTtlOfEach ? (value, { self, args }) => durationOf("ttl", Reflect.apply(ttl, self, [value, ...args])) : undefined;
    this.onInvalidTag = onInvalidTag && ((error, { self, args }) => Reflect.apply(onInvalidTag, self, [error, ...args]));
    this.#tags = deps === undefined ? everything : typeof deps === "function" ? undefined : asTags(deps);
    const { maxEntries: entriesMax = Infinity, maxBytes: bytesMax = Infinity } = options;
    const evict = (key: string): void => core.forget(key);
    if (entriesMax < Infinity || bytesMax < Infinity) this.#share = new ResultShare({ entriesMax, bytesMax, evict });
    if (fn.constructor.name === "AsyncFunction") this.#isAsync = true;
  }

  isAsync(): boolean {
    return this.#isAsync === true;
  }

  compute = (call: Call): unknown => {
    const isShared = this.core.shared !== undefined;
    if (isShared && this.#isAsync === false) throw new SyncTierError({ called: this.name });
    try {
      const result = Reflect.apply(this.#fn as (...args: unknown[]) => unknown, call.self, call.args);
      this.#isAsync = isThenable(result);
      return result;
    } catch (error) {
      // A function that returns promises may also throw.
      if (!isShared) this.#isAsync ??= false;
      throw error;
    }
  };

  tagsOf({ self, args }: Call): readonly Tag[] {
    return this.#declared(self, args);
  }

  #declared(self: unknown, args: readonly unknown[]): readonly Tag[] {
    if (this.#tags !== undefined) return this.#tags;
    const { deps } = this.#options;
    return typeof deps === "function" ? asTags(Reflect.apply(deps, self, args)) : everything;
  }

  /**
   * Undefined: `deps` gives no valid tags. A kept result does not count then, and the computation reports the error.
   */
  #declaredIfAny(self: unknown, args: readonly unknown[]): readonly Tag[] | undefined {
    try {
      return this.#declared(self, args);
    } catch {
      return undefined;
    }
  }

  isWanted(value: unknown, call: Call): boolean {
    const { condition } = this.#options;
    if (condition !== undefined && !Reflect.apply(condition, call.self, [value, ...call.args])) return false;
    return this.#share?.reserve(call.key, entryBytes(call.key, value)) !== false;
  }

  /** The kept promise for a call with one argument, if returning it is the whole call; undefined: ask `find`. */
  promiseFor(argument: unknown): Promise<unknown> | undefined {
    // A function that returns no promises has none here: `find` answers its calls, with one look-up in all.
    if (this.#isAsync === false) return undefined;
    const slot = this.#plainSlots.get(argument);
    return slot === undefined || argument === 0 ? undefined : this.#calls.promiseAt(slot);
  }

  /** The kept result of a call with one argument; undefined: use `call`. */
  find(argument: unknown): Entry | undefined {
    // 0 and -0 are two arguments, but one key of a Map.
    if (this.#isAsync === undefined || (typeof argument === "number" && argument === 0)) return undefined;
    const slot = this.#plainSlots.get(argument);
    return slot?.entry === undefined ? undefined : this.#calls.find(slot);
  }

  give(entry: Entry): unknown {
    return this.#calls.give(entry, this.#isAsync === true);
  }

  call(self: unknown, args: readonly unknown[]): unknown {
    const slot = this.#slotOf(self, args);
    const declared = slot.entry === undefined && this.#tags !== everything ? () => this.#declaredIfAny(self, args) : undefined;
    const entry = this.#calls.find(slot, declared);
    // Only a run of the function in this process shows whether to return a result from the disk as a promise.
    if (entry !== undefined && (entry.promise !== undefined || this.#isAsync !== undefined)) {
      this.#share?.use(slot.key, () => entryBytes(slot.key, entry.value));
      return this.give(entry);
    }
    return this.#calls.miss(this, slot, self, args, this.#signalOf(self, args));
  }

  refresh(self: unknown, args: readonly unknown[]): unknown {
    return this.core.calls.refresh(this, this.#slotOf(self, args), self, args);
  }

  keyOf(self: unknown, args: readonly unknown[]): string {
    return this.#slotOf(self, args).key;
  }

  #slotOf(self: unknown, args: readonly unknown[]): EntrySlot {
    const { key: keyFrom } = this.#options;
    const made = argumentsKey(keyFrom === undefined ? args : [Reflect.apply(keyFrom, self, args)]);
    // A hit in #plainSlots does not notify the share: a function with a share uses #slots.
    const slots: Map<unknown, EntrySlot> =
      this.#share === undefined && keyFrom === undefined && args.length === 1 && made === args[0] ? this.#plainSlots : this.#slots;
    const known = slots.get(made);
    if (known !== undefined) return known;
    const isRemembered = typeof made !== "string" || made.length <= limits.keyBytesMax;
    const slot = new EntrySlot(resultKey(this.#scope, made), this.rules.staleIfErrorMs, isRemembered ? slots : undefined, made);
    if (!isRemembered) return slot;
    if (slots.size >= slotsMax) {
      for (const old of slots.values()) this.core.memory.vacate(old);
      slots.clear();
    }
    slots.set(made, slot);
    return slot;
  }

  #signalOf(self: unknown, args: readonly unknown[]): AbortSignal | undefined {
    const { signal } = this.#options;
    return signal === undefined ? undefined : Reflect.apply(signal, self, args);
  }
}

function scopeOf(fn: AnyFunction, { name = fn.name, namespace, version }: AnyCacheableOptions): string {
  return scopeText({ name, ...(namespace === undefined ? {} : { namespace }), ...(version === undefined ? {} : { version }) });
}

/** The part of a decorator's context that `cacheable` reads. */
export type MethodContext = Pick<ClassMethodDecoratorContext, "kind">;

/** A standard decorator of methods. The instance is not part of the key, unless `key` includes it. */
export type MethodDecorator = <Fn extends AnyFunction>(method: Fn, context: MethodContext) => Cached<Fn>;

/** `cacheable`: called with a function, as a decorator, or with options to create a decorator. */
export interface Cacheable {
  <Fn extends AnyFunction>(fn: Fn, options?: CacheableOptions<Parameters<Fn>, ReturnType<Fn>>): Cached<Fn>;
  <Fn extends AnyFunction>(method: Fn, context: MethodContext): Cached<Fn>;
  (options?: CacheableOptions): MethodDecorator;
}

/** `cacheable` of the cache that `core` returns. `core` returns another cache only after `names` were freed. */
export function cacheableOf(core: () => CacheCore, names = new FunctionNames()): Cacheable {
  return ((first?: AnyFunction | AnyCacheableOptions, second?: AnyCacheableOptions | MethodContext, third?: unknown): unknown => {
    if (third !== undefined) throw legacyDecorator();
    if (typeof first === "function") return wrapped(core, names, first, second === undefined || isContext(second) ? {} : second);
    const options = first ?? {};
    checkCacheableOptions(options);
    return (method: AnyFunction) => {
      if (typeof method !== "function") throw legacyDecorator();
      return wrapped(core, names, method, options);
    };
  }) as Cacheable;
}

function isContext(second: AnyCacheableOptions | MethodContext): second is MethodContext {
  return typeof second === "object" && second !== null && "kind" in second;
}

/**
 * Compilers with `experimentalDecorators` call decorators in another way, which would leave the class without its
 * method.
 */
function legacyDecorator(): InvalidOptionError {
  return new InvalidOptionError({ option: "experimentalDecorators", reason: "is on: cacheable is a standard decorator" });
}

function wrapped(core: () => CacheCore, names: FunctionNames, fn: AnyFunction, options: AnyCacheableOptions): unknown {
  checkCacheableOptions(options);
  checkFunction(fn, options.name ?? fn.name);
  const request: NameRequest = {
    name: scopeOf(fn, options),
    fn,
    isExplicit: options.name !== undefined,
    replaces: options.replace === true,
  };
  let taken = names.claimName(request);
  let bound: BoundFunction | undefined;
  const at = (): BoundFunction => (bound !== undefined && taken.state === "held" ? bound : (bound = bind()));
  const bind = (): BoundFunction => {
    const now = core();
    if (taken.state === "replaced") throw nameWasTaken(request.name);
    // A function that was wrapped or called earlier in this cache keeps the name.
    if (taken.state === "freed") taken = names.claimName({ ...request, replaces: false });
    return new BoundFunction(now, fn, options);
  };
  // A hit with one argument is found by that argument. Only a miss builds the list of arguments: it costs half of a
  // hit.
  const cached = function (this: unknown, argument?: unknown): unknown {
    const found = at();
    if (arguments.length !== 1) return found.call(this, Array.from(arguments));
    const promise = found.promiseFor(argument);
    if (promise !== undefined) return promise;
    const entry = found.find(argument);
    return entry === undefined ? found.call(this, Array.from(arguments)) : found.give(entry);
  };
  Object.defineProperties(cached, { name: { value: fn.name, configurable: true }, length: { value: fn.length, configurable: true } });
  return Object.assign(cached, {
    key(this: unknown, ...args: unknown[]): string {
      return at().keyOf(this === cached ? undefined : this, args);
    },
    invalidate(this: unknown, ...args: unknown[]): Promise<Publication> {
      const found = at();
      return found.core.delete(keyTag(found.keyOf(this === cached ? undefined : this, args)));
    },
    refresh(this: unknown, ...args: unknown[]): unknown {
      return at().refresh(this === cached ? undefined : this, args);
    },
  });
}

/** Throws InvalidOptionError. */
function checkFunction(fn: AnyFunction, name: string): void {
  if (name === "") throw new InvalidOptionError({ option: "name", reason: "is missing, and the function has none" });
  if (/Generator/.test(fn.constructor.name))
    throw new InvalidOptionError({ option: "fn", reason: `is ${name}, a generator, whose result can be read only once: give a list` });
}
