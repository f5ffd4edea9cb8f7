/** A promise of DESIGN that did not hold, with the facts that show it. */
export class Violation extends Error {
  override readonly name = "Violation";
  readonly promise: number;
  /** The broken promise without the facts of this run: equal for violations of one kind. */
  readonly kind: string;
  readonly facts: Readonly<Record<string, unknown>>;

  constructor(promise: number, sentence: string, facts: Readonly<Record<string, unknown>>) {
    const kind = `promise ${promise}: ${sentence}`;
    super(`${kind} ${JSON.stringify(facts)}`);
    this.promise = promise;
    this.kind = kind;
    this.facts = facts;
  }
}
