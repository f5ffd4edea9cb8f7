/** An item that may end. Its place belongs to one Expiry. */
export interface Ending {
  /** The second in which it is visited next; undefined: it does not end. */
  due: number | undefined;
}

const secondMs = 1_000;

/**
 * Items by the second in which they end, so that ended items are found without visiting others. An item whose end
 * moved, such as a sliding one, is scheduled again when its second has passed.
 */
export class Expiry<T extends Ending> {
  readonly #bySecond = new Map<number, Set<T>>();
  /** No item is due before this second. */
  #first = Infinity;
  /** Items of a second that has passed, and the position of `next` in them until the last is removed. */
  #passed: Set<T> | undefined;
  #hand: Iterator<T> | undefined;
  /** Called with the time at which `next` has an item, when that time becomes earlier. */
  onEarlier: ((atMs: number) => void) | undefined = undefined;

  /** `endsMs` on the monotonic clock; undefined: it does not end. */
  schedule(item: T, endsMs: number | undefined): void {
    if (endsMs === undefined || endsMs === Infinity) return;
    const second = Math.floor(endsMs / secondMs);
    item.due = second;
    const items = this.#bySecond.get(second);
    if (items === undefined) this.#bySecond.set(second, new Set([item]));
    else items.add(item);
    if (second >= this.#first) return;
    this.#first = second;
    this.onEarlier?.((second + 1) * secondMs);
  }

  /** Time at which `next` has an item; Infinity: there is none. */
  get nextMs(): number {
    if (!this.#bySecond.has(this.#first)) this.#first = this.#earliest();
    return (this.#first + 1) * secondMs;
  }

  remove(item: T): void {
    if (item.due === undefined) return;
    const second = item.due;
    const items = this.#bySecond.get(second);
    item.due = undefined;
    items?.delete(item);
    if (items?.size !== 0) return;
    this.#bySecond.delete(second);
    if (items === this.#passed) this.#passed = this.#hand = undefined;
  }

  /** An item whose second has passed at `nowMs`; it is removed from this Expiry. */
  next(nowMs: number): T | undefined {
    for (const last = Math.floor(nowMs / secondMs) - 1; this.#first <= last;) {
      const items = this.#bySecond.get(this.#first);
      const item = items && this.#nextOf(items);
      if (item !== undefined) {
        this.remove(item);
        return item;
      }
      this.#first++;
      // Skips many seconds without items in one step.
      if (last - this.#first > this.#bySecond.size) this.#first = this.#earliest();
    }
    return undefined;
  }

  /** Continues in the same set: a new iteration would walk over all removed items before the first of the others. */
  #nextOf(items: Set<T>): T | undefined {
    if (items !== this.#passed) this.#hand = undefined;
    this.#passed = items;
    this.#hand ??= items.values();
    const { value } = this.#hand.next() as IteratorResult<T, undefined>;
    return value;
  }

  #earliest(): number {
    let earliest = Infinity;
    for (const second of this.#bySecond.keys()) earliest = Math.min(earliest, second);
    return earliest;
  }

  clear(): void {
    this.#bySecond.clear();
    this.#passed = this.#hand = undefined;
    this.#first = Infinity;
  }
}
