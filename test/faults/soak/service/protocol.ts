/** Messages between the driver and its processes. */

/** Name, broker address and folder of a process. */
export interface Setup {
  readonly name: string;
  readonly servers: string;
  readonly folder: string;
}

/** An object of the store. Its version grows by one with each commit. */
export interface Item {
  readonly version: number;
  readonly filler: string;
}

export interface ItemSchema {
  [key: `item/${string}`]: Item;
}

export const keyOf = (group: string | number, item: string | number): `item/${string}` => `item/${group}/${item}`;

/** One action of a client during a visit. */
export type Step =
  | { readonly type: "read"; readonly key: `item/${string}`; readonly how: "plain" | "sync" }
  | { readonly type: "commit"; readonly key: `item/${string}` };

/** A returning client: whether it has its former cache, and how it ends. */
export interface Visit {
  readonly type: "visit";
  readonly client: number;
  readonly keepsCache: boolean;
  readonly steps: readonly Step[];
  readonly end: "close" | "kill";
}

/** Result of one step: a version (0 for an absent object), or the code of an error. */
export interface StepResult {
  readonly version?: number;
  readonly failure?: { readonly code: string; readonly isTransient: boolean };
}

/** `results` has fewer steps than the visit when the client could not be opened. */
export interface VisitAnswer {
  readonly results: readonly StepResult[];
  readonly opening?: StepResult["failure"];
}

/** Results and tags that a service holds. */
export interface Held {
  /** Results in memory, and tags with versions of their own. */
  readonly results: number;
  readonly tags: number;
}

export const answerOf = (number: number, answer: object) => ({ type: "answer", number, ...answer });
