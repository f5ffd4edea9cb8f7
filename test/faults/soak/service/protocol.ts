/** What the driver and its processes say to each other. */

/** Where a process works: its name, the broker, and a folder of its own. */
export interface Setup {
  readonly name: string;
  readonly servers: string;
  readonly folder: string;
}

/** An object of the store: its version grows by one with each commit. */
export interface Item {
  readonly version: number;
  readonly filler: string;
}

export interface ItemSchema {
  [key: `item/${string}`]: Item;
}

export const keyOf = (group: string | number, item: string | number): `item/${string}` => `item/${group}/${item}`;

/** What a client does while it is there. */
export type Step =
  | { readonly type: "read"; readonly key: `item/${string}`; readonly how: "plain" | "sync" }
  | { readonly type: "commit"; readonly key: `item/${string}` };

/** A client that returns: with the cache that it has left, or with none, and how it goes away. */
export interface Visit {
  readonly type: "visit";
  readonly client: number;
  readonly keepsCache: boolean;
  readonly steps: readonly Step[];
  readonly end: "close" | "kill";
}

/** What came of one step: a version, 0 for an object that is not there, or the code of an error. */
export interface StepResult {
  readonly version?: number;
  readonly failure?: { readonly code: string; readonly isTransient: boolean };
}

/** `results` has fewer steps than the visit when the client could not be opened. */
export interface VisitAnswer {
  readonly results: readonly StepResult[];
  readonly opening?: StepResult["failure"];
}

/** What a service holds, beside its memory. */
export interface Held {
  /** Results in memory, and tags that have versions of their own. */
  readonly results: number;
  readonly tags: number;
}

export const answerOf = (number: number, answer: object) => ({ type: "answer", number, ...answer });
