import {
  asKey,
  compareKeys,
  decodeValue,
  checkSize,
  encodeValue,
  firstIndex,
  limits,
  rangeHas,
  TooLargeError,
  type KeyRange,
  type Value,
} from "../../core/index.js";

/** One object as a transaction writes it; `bytes` undefined deletes it. */
export interface PendingWrite {
  readonly key: string;
  readonly bytes: Uint8Array | undefined;
  /** Number of the call, in the order of calls. Validators may end in another order. */
  readonly order: number;
}

/** The writes of one transaction so far: the last write of each key. */
export class Writes {
  readonly #byKey = new Map<string, PendingWrite>();
  /** Keys in order. Undefined after another key was written. */
  #sorted: readonly string[] | undefined;
  #bytes = 0;
  #order = 0;

  get size(): number {
    return this.#byKey.size;
  }

  /** Returns the number of a new call. */
  nextOrder(): number {
    return ++this.#order;
  }

  /**
   * Writes `bytes`, or deletes the object when they are undefined. Has no effect if a later call has written the key.
   * Throws InvalidKeyError, TooLargeError.
   */
  set(key: string, bytes: Uint8Array | undefined, order: number): void {
    const former = this.#byKey.get(asKey(key));
    if (former !== undefined && former.order > order) return;
    const total = this.#bytes + size(key, bytes) - (former === undefined ? 0 : size(key, former.bytes));
    checkSize("transaction", total, limits.messageBytesMax);
    if (former === undefined) checkSize("keys of a transaction", this.#byKey.size + 1, limits.transactionKeysMax);
    this.#bytes = total;
    if (former === undefined) this.#sorted = undefined;
    this.#byKey.set(key, { key, bytes, order });
  }

  get(key: string): PendingWrite | undefined {
    return this.#byKey.get(key);
  }

  has(key: string): boolean {
    return this.#byKey.has(key);
  }

  /** Returns all writes in the form in which they are sent. */
  all(): readonly { readonly key: string; readonly value: Uint8Array | undefined }[] {
    return Array.from(this.#byKey.values(), ({ key, bytes }) => ({ key, value: bytes }));
  }

  /** The first written key in `range` after `after`. A deleted key counts as written. */
  first(range: KeyRange, after: string | undefined): string | undefined {
    this.#sorted ??= [...this.#byKey.keys()].toSorted(compareKeys);
    const sorted = this.#sorted;
    const isBefore = (key: string) => compareKeys(key, range.from) < 0 || (after !== undefined && compareKeys(key, after) <= 0);
    const first = sorted[firstIndex(sorted.length, (index) => isBefore(sorted[index] ?? ""))];
    return first !== undefined && rangeHas(range, first) ? first : undefined;
  }
}

/** Returns the value that a read of the object gives after `write`. */
export function written(write: PendingWrite): Value | undefined {
  return write.bytes === undefined ? undefined : decodeValue(write.bytes).value;
}

/** Bytes of `value`. Throws InvalidValueError, TooLargeError. */
export function encoded(key: string, value: unknown): Uint8Array {
  const bytes = encodeValue(value);
  if (bytes.length > limits.valueBytesMax) {
    throw new TooLargeError({ what: `value of ${JSON.stringify(key)}`, size: bytes.length, sizeMax: limits.valueBytesMax });
  }
  return bytes;
}

const size = (key: string, bytes: Uint8Array | undefined): number => key.length + (bytes?.length ?? 0);
