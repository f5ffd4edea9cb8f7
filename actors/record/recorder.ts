import type { AnyActorRef, InspectionEvent } from "xstate";
import { type Clock, limits, type Log, type Random, unreachable } from "../../core/index.js";
import type { Message, Transport } from "../../transport/transport.js";
import { readOrDrop } from "../protocol/codec.js";
import type { Describe } from "./followed-actor.js";
import { FollowedActors } from "./followed-actors.js";
import { FrameSender } from "./frame-sender.js";
import { type RecordQuestion, recordQuestion, recordSubjects } from "./frames.js";
import type { Note, Notes } from "./notes.js";

export interface RecorderDeps {
  readonly realm: string;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Paces the parts of a snapshot. */
  readonly sending: { sent(bytes: number): Promise<void> | undefined };
}

/** A pause of recording, which took `usedMs` of `ofMs`. Times are monotonic, in milliseconds. */
interface Pause {
  readonly timer: unknown;
  readonly usedMs: number;
  readonly ofMs: number;
  readonly untilMs: number;
  saidAtMs: number;
}

interface Registered {
  readonly actor: AnyActorRef;
  readonly describe: Describe | undefined;
}

/** One of so many calls of an observer is measured: the measurement takes as long as the rest of a short call. */
const measuredOf = 8;
/** A longer measurement shows that the process was held up, not that recording took so long. */
const measuredMsMax = 1;
const windowMs = 1_000;

/**
 * Records the registered actors of one instance, and its notes, while a watcher leases it.
 *
 * 1. Without a lease no observer is attached, nothing is sent, and `isRecording` is false.
 * 2. Nothing that happens here reaches the actors: an observer that throws would break its actor.
 * 3. When recording takes more than `limits.recordCpuPercentMax` of a core in two seconds in a row, it pauses, and says
 *    so in the record.
 */
export class Recorder implements Notes {
  isRecording = false;
  readonly #deps: RecorderDeps;
  readonly #instance: string;
  readonly #roots = new Map<string, Registered>();
  readonly #sender: FrameSender;
  readonly #actors: FollowedActors;
  readonly #questions: { unsubscribe(): void };
  #forgetRefusals: (() => void) | undefined;
  /** The broker does not let this process send frames. */
  #isRefused = false;
  /** Ends of the leases by watcher. Monotonic, in milliseconds. */
  readonly #leases = new Map<string, number>();
  #tick: unknown;
  #isShowing = false;
  #isSnapshotWanted = false;
  #shownAt = -Infinity;
  #paused: Pause | undefined;
  #calls = 0;
  #usedMs = 0;
  #windowBeganAt = 0;
  #windowsOver = 0;
  /** Counts the times that recording began. */
  #runs = 0;
  #isClosed = false;

  constructor(deps: RecorderDeps) {
    const { realm, transport, clock, random, log } = deps;
    this.#deps = deps;
    this.#instance = random.id();
    const onSent = (tookMs: number) => this.#spent(tookMs);
    this.#sender = new FrameSender({ realm, instance: this.#instance, transport, clock, log, onSent });
    this.#actors = new FollowedActors({ sender: this.#sender, clock, log, observer: (event) => this.#observe(event) });
    this.#questions = transport.subscribe(recordSubjects(realm).ask, (message) => this.#answer(message));
  }

  /** `actor` is registered at `path`, or takes the place of the actor there. */
  add(path: string, actor: AnyActorRef, describe: Describe | undefined): void {
    this.remove(path);
    this.#roots.set(path, { actor, describe });
    this.#guarded(() => {
      if (this.isRecording) this.#actors.add(path, actor, describe);
      else if (this.#isLeased) this.#start();
    });
  }

  /** The registration at `path` ended. */
  remove(path: string): void {
    const root = this.#roots.get(path);
    if (root === undefined) return;
    this.#roots.delete(path);
    if (this.isRecording) this.#guarded(() => this.#actors.remove(path, root.actor));
  }

  admits(): boolean {
    return this.isRecording && this.#sender.admits("notes");
  }

  note({ what, who, of, id, number, size, reason }: Note): void {
    this.#sender.pushAdmitted({ type: "note", ms: this.#sender.ms(), what, who, of, id, number, size, reason });
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#questions.unsubscribe();
    if (this.isRecording) {
      this.#sender.push({ type: "bye" });
      this.#sender.flush();
    }
    this.#leases.clear();
    this.#stop();
    this.#deps.clock.clearTimeout(this.#paused?.timer);
    this.#paused = undefined;
  }

  #answer(message: Message): void {
    const question = readOrDrop(recordQuestion, message, this.#deps.log);
    if (question !== undefined && !this.#isClosed) this.#guarded(() => this.#take(question));
  }

  #take(question: RecordQuestion): void {
    switch (question.type) {
      case "leave":
        this.#leases.delete(question.watcher);
        if (this.#leases.size === 0) this.#stop();
        return;
      case "watch":
        this.#lease(question.watcher);
        if (!this.isRecording) this.#start();
        return;
      case "snapshot":
        this.#lease(question.watcher);
        if (question.instance !== undefined && question.instance !== this.#instance) return;
        if (this.isRecording) this.#wantSnapshot();
        else if (this.#paused === undefined) this.#start();
        else this.#sayPaused(this.#paused, this.#deps.clock.monotonic());
        return;
      default:
        unreachable(question);
    }
  }

  get #isLeased(): boolean {
    if (this.#leases.size === 0) return false;
    const now = this.#deps.clock.monotonic();
    return [...this.#leases.values()].some((until) => until > now);
  }

  #lease(watcher: string): void {
    const isNew = !this.#leases.has(watcher);
    const shared = isNew && this.#leases.size >= limits.recordWatchersMax;
    this.#leases.set(shared ? otherWatchers : watcher, this.#deps.clock.monotonic() + limits.actorLeaseMs);
  }

  #start(): void {
    // An instance without actors has nothing to show: most often it is the watcher itself.
    if (this.isRecording || this.#roots.size === 0 || this.#paused !== undefined || this.#isRefused) return;
    const { clock, log, realm, transport } = this.#deps;
    const frames = recordSubjects(realm).frames(this.#instance);
    this.#forgetRefusals = transport.onRefused?.((error) => {
      if (error.subject !== frames || this.#isRefused) return;
      this.#isRefused = true;
      log.warn({ err: error }, "this process may not send its record");
      this.#stop();
    });
    this.isRecording = true;
    this.#runs++;
    this.#usedMs = 0;
    this.#windowsOver = 0;
    this.#windowBeganAt = clock.monotonic();
    this.#shownAt = -Infinity;
    log.debug({ instance: this.#instance }, "its record is watched");
    this.#tickLater();
    this.#wantSnapshot();
  }

  #stop(): void {
    if (!this.isRecording) return;
    this.isRecording = false;
    this.#isSnapshotWanted = false;
    this.#forgetRefusals?.();
    this.#deps.clock.clearTimeout(this.#tick);
    this.#actors.end();
    this.#sender.stop();
  }

  #tickLater(): void {
    this.#tick = this.#deps.clock.setTimeout(() => this.#guarded(() => this.#onTick()), limits.recordFactsMs);
  }

  #onTick(): void {
    if (!this.isRecording) return;
    const { clock } = this.#deps;
    const now = clock.monotonic();
    for (const [watcher, until] of this.#leases) if (until <= now) this.#leases.delete(watcher);
    if (this.#leases.size === 0) {
      this.#stop();
      return;
    }
    this.#tickLater();
    this.#actors.readFacts();
    this.#spent(clock.monotonic() - now);
    if (this.isRecording) this.#sender.flush();
    if (this.#isSnapshotWanted) this.#wantSnapshot();
  }

  /** A snapshot that is asked for too soon after another one is sent at the next tick. */
  #wantSnapshot(): void {
    this.#isSnapshotWanted = true;
    if (this.#isShowing || this.#deps.clock.monotonic() - this.#shownAt < limits.recordSnapshotGapMs) return;
    this.#showAll().catch((error: unknown) => {
      this.#deps.log.error({ err: error }, "a snapshot of the actors failed due to a bug");
    });
  }

  /** Sends every actor as it is at that moment, in frames among which other items may be. */
  async #showAll(): Promise<void> {
    this.#isShowing = true;
    try {
      this.#isSnapshotWanted = false;
      const actors = this.#actors;
      const run = this.#runs;
      const isOver = () => !this.isRecording || this.#runs !== run;
      this.#sender.flush();
      actors.forgetMachines();
      this.#sender.push({ type: "begin" });
      for (const [path, { actor, describe }] of [...this.#roots]) {
        if (isOver()) return;
        if (this.#roots.get(path)?.actor !== actor) continue;
        actors.add(path, actor, describe);
        if (this.#sender.waiting < itemsPerPart) continue;
        const paced = this.#deps.sending.sent(this.#sender.flush());
        if (paced !== undefined) await paced;
      }
      if (isOver()) return;
      this.#sender.push({ type: "end", actors: actors.count });
      this.#sender.flush();
    } finally {
      this.#shownAt = this.#deps.clock.monotonic();
      this.#isShowing = false;
    }
  }

  #observe(event: InspectionEvent): void {
    if (!this.isRecording) return;
    try {
      if (++this.#calls % measuredOf !== 0) {
        this.#actors.take(event);
        return;
      }
      const { clock } = this.#deps;
      const beganMs = clock.monotonic();
      this.#actors.take(event);
      this.#spent(Math.min(clock.monotonic() - beganMs, measuredMsMax) * measuredOf);
    } catch (error) {
      this.#deps.log.error({ err: error }, "an event of an actor could not be recorded due to a bug");
    }
  }

  /** Recording took `ms`. At the end of a second it is decided whether recording goes on. */
  #spent(ms: number): void {
    if (!this.isRecording) return;
    const { clock } = this.#deps;
    // A snapshot is sent in steps, however long it takes.
    if (!this.#isShowing) this.#usedMs += ms;
    const now = clock.monotonic();
    const ofMs = now - this.#windowBeganAt;
    if (ofMs < windowMs) return;
    const usedMs = this.#usedMs;
    this.#windowBeganAt = now;
    this.#usedMs = 0;
    this.#windowsOver = usedMs * 100 > ofMs * limits.recordCpuPercentMax ? this.#windowsOver + 1 : 0;
    if (this.#windowsOver > 1) this.#pause(Math.round(usedMs), Math.round(ofMs), now);
  }

  #pause(usedMs: number, ofMs: number, now: number): void {
    const { clock, log } = this.#deps;
    const forMs = limits.recordPauseMs;
    log.warn({ usedMs, ofMs, forMs }, "recording takes too much time, and pauses");
    const timer = clock.setTimeout(() => {
      this.#paused = undefined;
      if (this.#isLeased) this.#guarded(() => this.#start());
    }, forMs);
    this.#paused = { timer, usedMs, ofMs, untilMs: now + forMs, saidAtMs: -Infinity };
    this.#sayPaused(this.#paused, now);
    this.#stop();
  }

  /** Watchers that begin during a pause learn of it too. */
  #sayPaused(pause: Pause, now: number): void {
    const { usedMs, ofMs, untilMs, saidAtMs } = pause;
    if (now - saidAtMs < limits.recordSnapshotGapMs) return;
    pause.saidAtMs = now;
    const forMs = Math.max(0, Math.ceil(untilMs - now));
    this.#sender.push({ type: "paused", ms: this.#sender.ms(), usedMs, ofMs, forMs });
    this.#sender.flush();
  }

  #guarded(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#deps.log.error({ err: error, instance: this.#instance }, "the record failed due to a bug");
    }
  }
}

/** Key of the lease that watchers share when there are too many. It is no name of a watcher. */
const otherWatchers = "*";
/** Parts of a snapshot are sent when so many items wait: about half of a frame's bytes. */
const itemsPerPart = 128;
