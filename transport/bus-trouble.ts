import { asError, type Log, ZooidError } from "../core/index.js";

/** The work that a bus cannot do. */
export type TroubledWork = "following" | "publishing";

/**
 * The errors that prevent a bus from following or from publishing. Each change is logged once, however often the work
 * is tried again.
 */
export class BusTrouble {
  readonly #log: Log;
  readonly #facts: Readonly<Record<string, unknown>>;
  readonly #errors = new Map<TroubledWork, Error>();

  constructor(log: Log, facts: Readonly<Record<string, unknown>>) {
    this.#log = log;
    this.#facts = facts;
  }

  /** Undefined: there is no trouble. */
  get error(): Error | undefined {
    return this.#errors.get("following") ?? this.#errors.get("publishing");
  }

  met(work: TroubledWork, error: unknown, facts: Readonly<Record<string, unknown>> = {}): void {
    const met = asError(error);
    const before = this.#errors.get(work);
    const isNew = before === undefined || reasonOf(before) !== reasonOf(met);
    this.#errors.set(work, met);
    const all = { ...this.#facts, ...facts, work, err: met };
    if (isNew) this.#log.warn(all, "the invalidation bus is in trouble, and is tried again");
    else this.#log.debug(all, "the invalidation bus is still in trouble");
  }

  over(work: TroubledWork): void {
    if (this.#errors.delete(work)) this.#log.info({ ...this.#facts, work }, "the invalidation bus works again");
  }
}

/** When a broker does not answer, the errors of all requests differ only in their subjects. */
function reasonOf(error: Error): string {
  return error instanceof ZooidError && error.transient ? error.name : error.message;
}
