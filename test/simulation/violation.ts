/** A promise of DESIGN that did not hold, with the facts that show it. */
export class Violation extends Error {
  override readonly name = "Violation";
  readonly promise: number;
  readonly facts: Readonly<Record<string, unknown>>;

  constructor(promise: number, sentence: string, facts: Readonly<Record<string, unknown>>) {
    super(`promise ${promise}: ${sentence} ${JSON.stringify(facts)}`);
    this.promise = promise;
    this.facts = facts;
  }
}
