import { type Clock, limits, type Log, type Random } from "../../core/index.js";
import type { Message, Transport } from "../../transport/transport.js";
import { readOrDrop } from "../protocol/codec.js";
import { type RecordEntry, type RecordFrame, recordFrame, type RecordQuestion, recordQuestion, recordSubjects } from "./frames.js";

export interface RecordWatchDeps {
  readonly realm: string;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** One instance, as its watcher hears it. */
interface Heard {
  atMs: number;
  next: number;
  /** Frames are missing: this watcher asks for snapshots until one has arrived whole. */
  isBehind: boolean;
  /** A snapshot has begun, and no frame of it is missing so far. */
  isShowing: boolean;
  /** When this watcher last asked for a snapshot of it. */
  askedMs: number;
}

/** How often silent instances are looked for. */
const lookMs = 1_000;

/**
 * Follows the record of a realm until `close`: renews the leases of all instances, passes their frames on, asks for a
 * snapshot when frames are missing, and reports an instance that has become silent. A link that comes back, and an
 * instance that starts later, are asked within `limits.actorLeaseRenewalMs`.
 */
export class RecordWatch {
  readonly #deps: RecordWatchDeps;
  readonly #listener: (entry: RecordEntry) => void;
  readonly #subjects: ReturnType<typeof recordSubjects>;
  readonly #watcher: string;
  readonly #frames: { unsubscribe(): void };
  readonly #forgetStatus: () => void;
  readonly #instances = new Map<string, Heard>();
  #renewal: unknown;
  #look: unknown;
  #isClosed = false;

  constructor(deps: RecordWatchDeps, listener: (entry: RecordEntry) => void) {
    this.#deps = deps;
    this.#listener = listener;
    const { realm, transport, random } = deps;
    this.#subjects = recordSubjects(realm);
    this.#watcher = random.id();
    this.#frames = transport.subscribe(this.#subjects.allFrames, (message) => this.#take(message));
    this.#forgetStatus = transport.onStatus((status) => {
      if (status === "connected") void this.#begin();
    });
    void this.#begin();
    this.#lookLater();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#ask({ type: "leave", watcher: this.#watcher });
    this.#isClosed = true;
    this.#frames.unsubscribe();
    this.#forgetStatus();
    this.#deps.clock.clearTimeout(this.#renewal);
    this.#deps.clock.clearTimeout(this.#look);
  }

  /** The broker must know the subscription before instances answer. */
  async #begin(): Promise<void> {
    try {
      await this.#deps.transport.flush();
    } catch (error) {
      this.#deps.log.debug({ err: error }, "the record is watched once there is a link");
      return;
    }
    this.#ask({ type: "snapshot", watcher: this.#watcher, instance: undefined });
    this.#renewLater();
  }

  #renewLater(): void {
    const { clock } = this.#deps;
    clock.clearTimeout(this.#renewal);
    if (this.#isClosed) return;
    this.#renewal = clock.setTimeout(() => {
      this.#ask({ type: "watch", watcher: this.#watcher });
      this.#renewLater();
    }, limits.actorLeaseRenewalMs);
  }

  #ask(question: RecordQuestion): void {
    if (this.#isClosed) return;
    try {
      this.#deps.transport.publish(this.#subjects.ask, recordQuestion.write(question));
    } catch (error) {
      this.#deps.log.debug({ err: error }, "a question for the record was not sent");
    }
  }

  #take(message: Message): void {
    if (message.subject === this.#subjects.ask || this.#isClosed) return;
    const { clock, log } = this.#deps;
    const frame = readOrDrop(recordFrame, message, log);
    if (frame === undefined || message.subject !== this.#subjects.frames(frame.instance)) return;
    const heard = this.#heard(frame);
    if (heard === undefined) return;
    for (const item of frame.items) {
      if (item.type === "begin") heard.isShowing = true;
      else if (item.type === "end" && heard.isShowing) heard.isBehind = false;
      // It says how long it will be silent.
      else if (item.type === "paused") heard.atMs = clock.monotonic() + item.forMs;
      else if (item.type === "bye") this.#instances.delete(frame.instance);
    }
    this.#listener({ type: "frame", at: this.#wall(), frame });
  }

  /** Notes the arrival of a frame. Undefined: this watcher follows too many instances already. */
  #heard({ instance, number }: RecordFrame): Heard | undefined {
    const nowMs = this.#deps.clock.monotonic();
    const heard = this.#instances.get(instance);
    if (heard === undefined) {
      if (this.#instances.size >= limits.recordInstancesMax) return undefined;
      // The first snapshot may be under way, or another watcher has asked for it.
      const made = { atMs: nowMs, next: number + 1, isBehind: true, isShowing: false, askedMs: nowMs };
      this.#instances.set(instance, made);
      return made;
    }
    if (number !== heard.next) {
      heard.isBehind = true;
      heard.isShowing = false;
      this.#askAgain(instance, heard, nowMs);
    }
    heard.next = number + 1;
    heard.atMs = Math.max(heard.atMs, nowMs);
    return heard;
  }

  #askAgain(instance: string, heard: Heard, nowMs: number): void {
    if (nowMs - heard.askedMs < 2 * limits.recordSnapshotGapMs) return;
    heard.askedMs = nowMs;
    this.#ask({ type: "snapshot", watcher: this.#watcher, instance });
  }

  #lookLater(): void {
    const { clock } = this.#deps;
    this.#look = clock.setTimeout(() => {
      if (this.#isClosed) return;
      this.#lookLater();
      const now = clock.monotonic();
      for (const [instance, heard] of this.#instances) {
        if (heard.isBehind && !heard.isShowing) this.#askAgain(instance, heard, now);
        if (now - heard.atMs < limits.recordLostMs) continue;
        this.#instances.delete(instance);
        this.#listener({ type: "lost", at: this.#wall(), instance });
      }
    }, lookMs);
  }

  #wall(): number {
    return Math.max(0, Math.floor(this.#deps.clock.now()));
  }
}
