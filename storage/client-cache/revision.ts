import { copyValue, decodeValue, InvalidValueError, isTid, type Tid, type Value } from "../../core/index.js";

/** One revision of one object, held in memory, immutable. */
export interface CachedRevision {
  readonly serial: Tid;
  /**
   * Decoded and frozen; undefined: absent. Unless it is `shareable`, only the result of `give()` may leave the client.
   */
  readonly value: Value | undefined;
  /** The value as a resolved promise: the result of `get` when the value is shareable. */
  readonly promise: Promise<Value | undefined>;
  /** Nothing in the value can be changed: it contains no Date and no bytes. */
  readonly shareable: boolean;
  /** The value when it is shareable, otherwise a copy. */
  give(): Value | undefined;
}

const absence: Promise<Value | undefined> = Promise.resolve(undefined);

/** Bytes of an encoded revision before the value. */
const recordHeaderBytes = 9;

/**
 * A revision in a buffer of its own: one byte (1: there is a value), the serial as a big-endian double, the encoded
 * value.
 */
export function encodeRecord(serial: Tid, value: Uint8Array | undefined): Uint8Array {
  // Not from Buffer's pool: a record that is kept would keep its neighbours in memory.
  const record = Buffer.allocUnsafeSlow(recordHeaderBytes + (value?.length ?? 0));
  record[0] = value === undefined ? 0 : 1;
  record.writeDoubleBE(serial, 1);
  if (value !== undefined) record.set(value, recordHeaderBytes);
  return record;
}

/** Serial in a record; undefined when it is not a valid record. */
export function recordSerial(record: Uint8Array): Tid | undefined {
  if (record.length < recordHeaderBytes) return undefined;
  const serial = new DataView(record.buffer, record.byteOffset, recordHeaderBytes).getFloat64(1);
  return isTid(serial) ? serial : undefined;
}

/**
 * The only implementation of CachedRevision. A revision that was written here, or read from disk, stays encoded until
 * the first request for it (`decoded`); its value is not visible before.
 */
export class HeldRevision implements CachedRevision {
  readonly serial: Tid;
  /** Encoded size, which counts towards the memory bound. */
  readonly bytes: number;
  value: Value | undefined = undefined;
  promise: Promise<Value | undefined> = absence;
  shareable = true;
  /** The same revision on disk: each use here marks it as used there. */
  entry: { touched: boolean } | undefined = undefined;
  #record: Uint8Array | undefined;

  /** `record`: from encodeRecord, owned by this object from now on. */
  constructor(serial: Tid, record: Uint8Array) {
    this.serial = serial;
    this.bytes = record.length;
    this.#record = record;
  }

  get isDecoded(): boolean {
    return this.#record === undefined;
  }

  /** This revision, decoded. Throws InvalidValueError. */
  decoded(): this {
    const record = this.#record;
    if (record === undefined) return this;
    if (record[0] === 0 ? record.length !== recordHeaderBytes : record[0] !== 1) {
      throw new InvalidValueError({ path: "", reason: "is not a valid record of the cache" });
    }
    if (record[0] === 1) {
      const { value, hasUnfreezable } = decodeValue(record.subarray(recordHeaderBytes));
      this.value = value;
      this.promise = Promise.resolve(value);
      this.shareable = !hasUnfreezable;
    }
    this.#record = undefined;
    return this;
  }

  give(): Value | undefined {
    return this.shareable || this.value === undefined ? this.value : copyValue(this.value);
  }
}
