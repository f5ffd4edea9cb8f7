import { isTid, type Tid } from "../tid.js";

/** A fact of an error. It travels with the error between processes. */
export type Fact = string | number | boolean | undefined;

/**
 * Bad input or bad luck. Programs distinguish errors by class or by the permanent `code`, never by text.
 * `transient`: the same call may succeed later.
 */
export abstract class ZooidError extends Error {
  abstract readonly code: `ZOOID_${string}`;
  abstract readonly transient: boolean;
  readonly #facts: Readonly<Record<string, Fact>>;

  constructor(message: string, facts: Readonly<Record<string, Fact>> = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.#facts = facts;
    Object.assign(this, facts);
  }

  /** The facts of this error, by name. Each is a field of the error, too: `error.key` is `error.facts.key`. */
  get facts(): Readonly<Record<string, Fact>> {
    return this.#facts;
  }
}

interface FactTypes {
  readonly string: string;
  readonly number: number;
  readonly boolean: boolean;
  readonly tid: Tid;
}

/** Type of a fact. With "?" the error may lack it. */
type FactType = keyof FactTypes | `${keyof FactTypes}?`;

type TypeOf<Type> = Type extends `${infer Name extends keyof FactTypes}?`
  ? FactTypes[Name]
  : Type extends keyof FactTypes
    ? FactTypes[Type]
    : never;

type Flat<Type> = { readonly [Name in keyof Type]: Type[Name] };

/** Facts as the types of an error declare them. */
export type FactsOf<Types> = Flat<
  { readonly [Name in keyof Types as Types[Name] extends `${string}?` ? never : Name]: TypeOf<Types[Name]> } & {
    readonly [Name in keyof Types as Types[Name] extends `${string}?` ? Name : never]?: TypeOf<Types[Name]> | undefined;
  }
>;

/** Declaration of a class of errors. No fact may have the name of a field that every error has. */
export interface ErrorKind<Code extends `ZOOID_${string}`, Types> {
  readonly code: Code;
  /** Default: false. */
  readonly transient?: boolean;
  readonly facts: Types & Readonly<Record<string, FactType>> & { readonly [Name in keyof ZooidError]?: never };
  /** Must not throw for any facts of these types: they may come from another process. */
  readonly message: (facts: FactsOf<Types>) => string;
}

/** Properties that all errors of a class share. */
export interface ErrorClass {
  readonly code: `ZOOID_${string}`;
  readonly transient: boolean;
  /** Name and type of each fact. */
  readonly factTypes: Readonly<Record<string, FactType>>;
  /**
   * The error with these facts, which come from another process; undefined when one is missing or has another type. It
   * ignores facts that the class does not declare.
   */
  fromFacts(facts: object): ZooidError | undefined;
}

/** A class whose errors have their facts as fields. */
export interface ErrorClassOf<Code extends `ZOOID_${string}`, Facts> extends ErrorClass {
  new (facts: Facts, cause?: unknown): ZooidError & Facts & { readonly code: Code; readonly transient: boolean; readonly facts: Facts };
  readonly code: Code;
}

/** A class of errors to extend. Code, types of the facts and message are declared once, here. */
export function errorClass<const Code extends `ZOOID_${string}`, const Types>(
  kind: ErrorKind<Code, Types>,
): ErrorClassOf<Code, FactsOf<Types>> {
  const { code, transient = false, message } = kind;
  const factTypes: Readonly<Record<string, FactType>> = kind.facts;
  const names = Object.keys(factTypes);

  class KindError extends ZooidError {
    static readonly code = code;
    static readonly transient = transient;
    static readonly factTypes = factTypes;
    readonly code = code;
    readonly transient = transient;

    static fromFacts(given: Readonly<Record<string, unknown>>): ZooidError | undefined {
      return names.every((name) => isFact(given[name], factTypes[name])) ? new this(given as FactsOf<Types>) : undefined;
    }

    constructor(facts: FactsOf<Types>, cause?: unknown) {
      super(message(facts), ownFacts(names, facts), cause);
    }
  }
  // The name comes from the code, because a bundler may rename classes.
  Object.defineProperty(KindError.prototype, "name", { value: nameOf(code), configurable: true, writable: true });
  return KindError as unknown as ErrorClassOf<Code, FactsOf<Types>>;
}

function isFact(value: unknown, type: FactType | undefined): boolean {
  if (type?.endsWith("?") === true && value === undefined) return true;
  const name = type?.replace("?", "");
  return name === "tid" ? isTid(value) : typeof value === name;
}

function ownFacts(names: readonly string[], facts: Readonly<Record<string, Fact>>): Readonly<Record<string, Fact>> {
  const own: Record<string, Fact> = {};
  for (const name of names) if (facts[name] !== undefined) own[name] = facts[name];
  return own;
}

/** For example ZOOID_INVALID_KEY becomes InvalidKeyError. */
function nameOf(code: string): string {
  const [, ...words] = code.split("_");
  return `${words.map((word) => `${word.charAt(0)}${word.slice(1).toLowerCase()}`).join("")}Error`;
}
