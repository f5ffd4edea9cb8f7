/** Names that are taken once at a time: the second actor called `order` is `order~2`. */
export class DistinctNames {
  readonly #taken = new Map<string, { live: number; last: number }>();

  /** `name`, or `name~2` and so on while `name` is taken. */
  take(name: string): string {
    const taken = this.#taken.get(name);
    if (taken === undefined) {
      this.#taken.set(name, { live: 1, last: 1 });
      return name;
    }
    taken.live++;
    return `${name}~${++taken.last}`;
  }

  /** One that had taken `name` needs it no more. */
  release(name: string): void {
    const taken = this.#taken.get(name);
    if (taken !== undefined && --taken.live === 0) this.#taken.delete(name);
  }
}
