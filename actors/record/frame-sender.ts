import { type Clock, limits, type Log, ZooidError } from "../../core/index.js";
import type { Transport } from "../../transport/transport.js";
import { type ItemOf, type RecordFrame, recordFormat, recordFrame, type RecordItem, recordSubjects } from "./frames.js";

export interface FrameSenderDeps {
  readonly realm: string;
  readonly instance: string;
  readonly transport: Pick<Transport, "publish" | "payloadBytesMax">;
  readonly clock: Clock;
  readonly log: Log;
  /** Called before frames are sent, and after with the milliseconds that this took. */
  readonly onSent: (tookMs: number) => void;
}

/** Kinds of items that are counted instead of sent when there are too many. */
type Counted = "events" | "steps" | "notes";

const secondMs = 1_000;
const nothingLeft = { events: 0, steps: 0, states: 0, notes: 0, others: 0 };

/**
 * Collects items and sends them in frames, `limits.recordFrameMs` after the first one, or sooner when many wait.
 *
 * Above `limits.recordEventsPerSecondMax` it counts events, steps and notes instead. It then keeps only the newest
 * state of each actor in a frame. So the last state of every actor is always sent, and the work has a bound.
 */
export class FrameSender {
  readonly #deps: FrameSenderDeps;
  readonly #subject: string;
  #items: RecordItem[] = [];
  /** Time of the first item. */
  #at = 0;
  #number = 0;
  #timer: unknown;
  #left = { ...nothingLeft };
  #secondBeganAt = 0;
  #thisSecond = 0;
  /** Ends a second with too many items: whether it is over is not asked of the clock for each item. */
  #secondEnd: unknown;
  /** Places in #items of the states that a newer state of the same actor may replace. */
  readonly #states = new Map<number, number>();

  constructor(deps: FrameSenderDeps) {
    this.#deps = deps;
    this.#subject = recordSubjects(deps.realm).frames(deps.instance);
  }

  /** Milliseconds from the beginning of the open frame to now. */
  ms(): number {
    const now = this.#deps.clock.now();
    if (this.#items.length > 0) return Math.max(0, Math.floor(now) - this.#at);
    this.#at = Math.max(0, Math.floor(now));
    return 0;
  }

  /** Whether one more item of this kind may be sent in this second. If not, it is counted as left out. */
  admits(kind: Counted): boolean {
    this.#thisSecond++;
    if (!this.isOverRate) return true;
    this.#left[kind]++;
    this.#schedule();
    return false;
  }

  /** Counts one item that its source has left out. */
  leaveOut(kind: Counted): void {
    this.#left[kind]++;
    this.#schedule();
  }

  get isOverRate(): boolean {
    return this.#thisSecond > limits.recordEventsPerSecondMax && (this.#secondEnd !== undefined || !this.#isNextSecond());
  }

  push(item: RecordItem): void {
    this.#states.clear();
    this.#append(item);
  }

  /** An item that `admits` has admitted. */
  pushAdmitted(item: ItemOf<"event" | "step" | "note">): void {
    this.#append(item);
  }

  pushState(item: ItemOf<"state">): void {
    this.#thisSecond++;
    if (this.isOverRate) {
      const before = this.#states.get(item.actor);
      if (before !== undefined) {
        this.#items[before] = item;
        this.#left.states++;
        return;
      }
      this.#states.set(item.actor, this.#items.length);
    }
    this.#append(item);
  }

  /** Items that wait to be sent. */
  get waiting(): number {
    return this.#items.length;
  }

  /** Sends all items that wait, or an empty frame: watchers see that the instance is there. Returns the bytes sent. */
  flush(): number {
    const { clock, onSent } = this.#deps;
    const beganMs = clock.monotonic();
    clock.clearTimeout(this.#timer);
    this.#timer = undefined;
    const items = this.#items;
    const at = items.length > 0 ? this.#at : Math.max(0, Math.floor(clock.now()));
    this.#items = [];
    this.#states.clear();
    const left = this.#left;
    if (left.events + left.steps + left.states + left.notes + left.others > 0) {
      items.push({ type: "left", ...left });
      this.#left = { ...nothingLeft };
    }
    const bytes = this.#send(at, items);
    onSent(clock.monotonic() - beganMs);
    return bytes;
  }

  /** Drops what waits. */
  stop(): void {
    const { clock } = this.#deps;
    clock.clearTimeout(this.#timer);
    clock.clearTimeout(this.#secondEnd);
    this.#timer = undefined;
    this.#secondEnd = undefined;
    this.#items = [];
    this.#states.clear();
    this.#left = { ...nothingLeft };
  }

  #append(item: RecordItem): void {
    if (this.#items.length === 0 && !("ms" in item)) this.ms();
    this.#items.push(item);
    if (this.#items.length >= limits.recordFrameItemsMax) this.flush();
    else this.#schedule();
  }

  #schedule(): void {
    this.#timer ??= this.#deps.clock.setTimeout(() => this.flush(), limits.recordFrameMs);
  }

  /** Begins the next second if this one is over. Otherwise a timer does. */
  #isNextSecond(): boolean {
    const { clock } = this.#deps;
    const now = clock.monotonic();
    const leftMs = this.#secondBeganAt + secondMs - now;
    if (leftMs <= 0) {
      this.#secondBeganAt = now;
      this.#thisSecond = 1;
      return true;
    }
    this.#secondEnd = clock.setTimeout(() => {
      this.#secondEnd = undefined;
      this.#secondBeganAt = clock.monotonic();
      this.#thisSecond = 0;
    }, leftMs);
    return false;
  }

  #send(at: number, items: readonly RecordItem[]): number {
    const { instance, transport, log } = this.#deps;
    const frame: RecordFrame = { format: recordFormat, instance, number: this.#number, at, items };
    let payload: Uint8Array;
    try {
      payload = recordFrame.write(frame);
    } catch (error) {
      if (!(error instanceof ZooidError)) throw error;
      return this.#sendParts(at, items);
    }
    const isTooLarge = payload.length > (items.length > 1 ? limits.recordFrameBytesMax : transport.payloadBytesMax);
    if (isTooLarge) return this.#sendParts(at, items);
    // A frame that does not leave is missed by its watchers as a gap in the numbers.
    this.#number++;
    try {
      transport.publish(this.#subject, payload);
    } catch (error) {
      log.debug({ err: error, instance }, "a frame of the record was not sent");
    }
    return payload.length;
  }

  #sendParts(at: number, items: readonly RecordItem[]): number {
    if (items.length <= 1) {
      this.#left.others++;
      return 0;
    }
    const half = items.length >>> 1;
    return this.#send(at, items.slice(0, half)) + this.#send(at, items.slice(half));
  }
}
