import { checkSize, type Clock, limits, type Log, TooLargeError } from "../core/index.js";

/** The position of a part in its message. */
export interface PartPosition {
  /** The same in all parts of a message, and in no other message of this sender. */
  readonly message: string;
  readonly index: number;
  readonly count: number;
  /** Bytes of the whole message. */
  readonly size: number;
}

/** Room that a part leaves for its header, in bytes. */
const headerBytesMax = 256;

/**
 * `payload` in parts that fit into `payloadBytesMax` with their header. The parts alias it. Throws TooLargeError above
 * `messageBytesMax`.
 */
export function split(
  what: string,
  message: string,
  payload: Uint8Array,
  payloadBytesMax: number,
): { position: PartPosition; bytes: Uint8Array }[] {
  checkWhole(what, payload);
  const partBytes = payloadBytesMax - headerBytesMax;
  if (partBytes <= 0) throw new TooLargeError({ what, size: payload.length, sizeMax: payloadBytesMax });
  const count = Math.ceil(payload.length / partBytes);
  return Array.from({ length: count }, (_, index) => ({
    position: { message, index, count, size: payload.length },
    bytes: payload.subarray(index * partBytes, (index + 1) * partBytes),
  }));
}

/** Throws TooLargeError if `payload` is larger than one request or reply may be. */
export function checkWhole(what: string, payload: Uint8Array): void {
  checkSize(what, payload.length, limits.messageBytesMax);
}

export function positionToText({ message, index, count, size }: PartPosition): string {
  return `${message} ${index} ${count} ${size}`;
}

/** Undefined if `text` is not a position that `split` can have made. */
export function positionFromText(text: string): PartPosition | undefined {
  const match = /^([\w-]{1,64}) (\d{1,8}) (\d{1,8}) (\d{1,10})$/.exec(text);
  if (match === null) return undefined;
  const [, message = "", index, count, size] = match;
  const position = { message, index: Number(index), count: Number(count), size: Number(size) };
  const sound = position.index < position.count && position.count <= position.size && position.size <= limits.messageBytesMax;
  return sound ? position : undefined;
}

/** Memory that a part costs in addition to its bytes, so that many small parts are bounded like a few large ones. */
const partOverheadBytes = 512;

interface Joining {
  readonly position: PartPosition;
  readonly parts: Uint8Array[];
  bytes: number;
  /** Its share of the memory that all messages may take together. */
  cost: number;
  /** When its first part arrived, on the monotonic clock. */
  readonly since: number;
}

/**
 * Joins messages from their parts. The parts of one message arrive in order; messages may be mixed. Holds at most
 * `joiningBytesMax` of parts. A message that would exceed this, that misses a part or that stands still is dropped: the
 * caller that waits for it gets a time-out.
 */
export class Joiner {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #costMax: number;
  readonly #joining = new Map<string, Joining>();
  #cost = 0;
  #timer: unknown = undefined;

  constructor(clock: Clock, log: Log, bytesMax: number = limits.joiningBytesMax) {
    this.#clock = clock;
    this.#log = log;
    this.#costMax = bytesMax;
  }

  /** Returns the whole message if `bytes` was its last part. `scope` separates the receivers of the same message. */
  addPart(scope: string, position: PartPosition, bytes: Uint8Array): Uint8Array | undefined {
    const key = `${scope} ${position.message}`;
    let joining = this.#joining.get(key);
    if (joining === undefined) {
      // The first part is missing: it was dropped here before, or sent before this receiver subscribed.
      if (position.index !== 0) return undefined;
      joining = { position, parts: [], bytes: 0, cost: 0, since: this.#clock.monotonic() };
      this.#joining.set(key, joining);
      this.#timer ??= this.#clock.setTimeout(() => this.#sweep(), limits.joiningTimeoutMs);
    }
    const { index, count, size } = joining.position;
    const follows = position.index === joining.parts.length && position.count === count && position.size === size && index === 0;
    if (!follows || bytes.length === 0 || joining.bytes + bytes.length > size) return this.#drop(key, "its parts do not follow each other");
    const cost = bytes.length + partOverheadBytes;
    if (this.#cost + cost > this.#costMax) return this.#drop(key, "too much is being joined");
    joining.parts.push(kept(bytes));
    joining.bytes += bytes.length;
    joining.cost += cost;
    this.#cost += cost;
    if (joining.parts.length < count) return undefined;
    if (joining.bytes !== size) return this.#drop(key, "its parts are too short");
    this.#forget(key);
    return Buffer.concat(joining.parts, size);
  }

  /** Drops all parts of one receiver, or everything. */
  clear(scope?: string): void {
    for (const key of this.#joining.keys()) if (scope === undefined || key.startsWith(`${scope} `)) this.#forget(key);
  }

  #drop(key: string, reason: string): undefined {
    this.#forget(key);
    this.#log.warn({ message: key, reason }, "a message in parts was dropped");
  }

  #forget(key: string): void {
    const joining = this.#joining.get(key);
    if (joining === undefined) return;
    this.#joining.delete(key);
    this.#cost -= joining.cost;
    if (this.#joining.size > 0 || this.#timer === undefined) return;
    this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #sweep(): void {
    this.#timer = undefined;
    const oldest = this.#clock.monotonic() - limits.joiningTimeoutMs;
    for (const [key, joining] of this.#joining) if (joining.since <= oldest) this.#drop(key, "a part did not arrive");
    if (this.#joining.size > 0) this.#timer ??= this.#clock.setTimeout(() => this.#sweep(), limits.joiningTimeoutMs);
  }
}

/** `bytes` in memory of their own if they are a small part of a larger buffer, which would be kept with them. */
function kept(bytes: Uint8Array): Uint8Array {
  return bytes.buffer.byteLength > 2 * bytes.length ? new Uint8Array(bytes) : bytes;
}
