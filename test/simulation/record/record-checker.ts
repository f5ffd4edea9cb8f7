import type { RecordEntry, RecordFrame } from "../../../actors/record/frames.js";
import { applyEntry, emptyModel, type InstanceModel, type RecordModel } from "../../../actors/record/model.js";
import type { Judge } from "../common/stage.js";
import { Violation } from "../common/violation.js";
import { countedKinds, type RecordedProcess } from "./recorded-process.js";
import { difference, type Picture, pictureIn, type PictureOptions, pictureOf } from "./truth.js";

/** DESIGN, promise 14: a true record. */
export const promise = 14;

const withFacts: PictureOptions = { hasFacts: true };
const withoutFacts: PictureOptions = { hasFacts: false };

/**
 * So many frames of a process are sent for one that is compared with its actors at that moment; more of a process with
 * many actors. Frames that end a snapshot, or that leave something out, are compared always.
 */
const comparedOf = 4;
const comparedOfMany = 16;

const allCounted = "events, steps and notes that are recorded or counted as left out are all that happened";

interface Sample {
  readonly atMs: number;
  readonly picture: Picture;
}

/** Places in a recording. */
export interface Cuts {
  /** The whole model after some of the entries, as text, by index. */
  readonly marks: ReadonlyMap<number, string>;
  /** A recording may begin here. */
  readonly cut: number;
}

/** Compares the models that watchers make of frames with the actors themselves. */
export class RecordChecker implements Judge {
  readonly violations: Violation[] = [];
  readonly counts = { frames: 0, moments: 0, quiet: 0, replays: 0, files: 0, late: 0, left: 0, pauses: 0, gaps: 0 };
  readonly #now: () => number;
  /** The actors at the moment in which a frame was sent, by instance and number of the frame. */
  readonly #samples = new Map<string, Sample>();
  readonly #miscounts = new Map<string, Readonly<Record<string, unknown>> & { readonly atMs: number; readonly sentence: string }>();
  readonly #lastSample = new Map<string, string>();

  constructor(now: () => number) {
    this.#now = now;
  }

  violated(number: number, sentence: string, facts: Readonly<Record<string, unknown>>): void {
    this.violations.push(new Violation(number, sentence, facts));
  }

  /** `process` sends `frame` now. */
  sent(process: RecordedProcess, frame: RecordFrame): void {
    this.counts.frames++;
    for (const item of frame.items) {
      if (item.type === "left") this.counts.left += item.events;
      else if (item.type === "paused") this.counts.pauses++;
    }
    const { instance } = frame;
    this.#count(process, frame);
    const last = this.#lastSample.get(instance);
    // Several frames of one moment are parts of one: the actors were as they are only at the last of them.
    if (last !== undefined && this.#samples.get(last)?.atMs === this.#now()) this.#samples.delete(last);
    const isAtRest = !process.isActing && !frame.items.some(({ type }) => type === "paused" || type === "bye");
    const of = process.roots.size > 100 ? comparedOfMany : comparedOf;
    if (!isAtRest || (frame.number % of !== 0 && !frame.items.some(({ type }) => type === "end" || type === "left"))) return;
    const key = `${instance} ${frame.number}`;
    this.#lastSample.set(instance, key);
    this.#samples.set(key, { atMs: this.#now(), picture: pictureOf(process.roots, withoutFacts) });
  }

  /** When a frame has been sent, all is recorded or counted as left out, and each transition has its cause. */
  #count(process: RecordedProcess, frame: RecordFrame): void {
    const { instance } = frame;
    const atMs = this.#now();
    const before = this.#miscounts.get(instance);
    // Several frames of one moment are parts of one: the last of them has the rest.
    if (before !== undefined && before.atMs < atMs) this.violated(promise, before.sentence, { instance, ...before });
    this.#miscounts.delete(instance);
    const difference = process.causes.frame(frame, !process.isActing);
    if (difference !== undefined)
      this.#miscounts.set(instance, {
        atMs,
        sentence: "the record names the event that caused a transition, and its sender",
        ...difference,
      });
    if (process.isActing) return;
    for (const kind of countedKinds) {
      const { happened, recorded } = process.counts[kind];
      if (happened !== recorded) this.#miscounts.set(instance, { atMs, sentence: allCounted, kind, happened, recorded });
    }
  }

  /** A watcher has applied `frame`, and has this model of its instance. */
  applied(watcher: string, frame: RecordFrame, instance: InstanceModel | undefined): void {
    const sample = this.#samples.get(`${frame.instance} ${frame.number}`);
    if (sample === undefined || instance?.state !== "live" || instance.showing !== undefined) return;
    this.counts.moments++;
    const found = pictureIn(instance.actors, withoutFacts);
    if (isSame(sample.picture, found)) return;
    const facts = { watcher, instance: frame.instance, frame: frame.number, ...difference(sample.picture, found) };
    this.violated(promise, "a model shows the actors as they were when its last frame was sent", facts);
  }

  /** All frames have been delivered, and the actors are at rest. */
  quiet(watcher: string, model: RecordModel, process: RecordedProcess, options: PictureOptions): void {
    this.counts.quiet++;
    const instance = process.instance === undefined ? undefined : model.instances.get(process.instance);
    const expected = pictureOf(process.roots, options);
    const found = instance?.state === "live" ? pictureIn(instance.actors, options) : [];
    if (isSame(expected, found)) return;
    const facts = { watcher, instance: process.instance, state: instance?.state, ...difference(expected, found) };
    this.violated(promise, "at rest the model equals the actors", facts);
  }

  /** All watchers are gone, and their leases have ended. */
  unwatched(process: RecordedProcess, framesBefore: number): void {
    const { observers, isRecording, frames } = process;
    if (observers > 0 || isRecording || frames > framesBefore)
      this.violated(promise, "without a watcher nothing is observed or sent", { observers, isRecording, frames: frames - framesBefore });
  }

  /** A watcher has made `model` of `entries`. */
  replayed(watcher: string, model: RecordModel, entries: readonly RecordEntry[], { marks, cut }: Cuts): void {
    this.counts.replays++;
    const whole = emptyModel();
    const late = emptyModel();
    for (const [index, entry] of entries.entries()) {
      applyEntry(whole, entry);
      if (index >= cut) applyEntry(late, entry);
      const mark = marks.get(index);
      if (mark !== undefined && mark !== flat(whole)) {
        this.violated(promise, "a recording that is cut replays to the model of that moment", { watcher, entries: index + 1 });
        return;
      }
    }
    for (const { gaps } of model.instances.values()) this.counts.gaps += gaps;
    if (flat(whole) !== flat(model))
      this.violated(promise, "a recording replays to the identical model", { watcher, entries: entries.length });
    for (const [name, instance] of late.instances) {
      const same = model.instances.get(name);
      if (instance.state !== "live" || same?.state !== "live" || same.showing !== undefined) continue;
      this.counts.late++;
      const [expected, found] = [pictureIn(same.actors, withFacts), pictureIn(instance.actors, withFacts)];
      if (isSame(expected, found)) continue;
      const facts = { watcher, instance: name, cut, of: entries.length, ...difference(expected, found) };
      this.violated(promise, "a recording that begins late replays to the same actors", facts);
    }
  }
}

/** The whole of a model as text. */
export function flat({ instances, machines, transitions, commits, invalidations, counts }: RecordModel): string {
  return JSON.stringify([instances, machines, transitions, [...commits], [...invalidations], counts], (_, value: unknown) =>
    value instanceof Map
      ? [...(value as ReadonlyMap<unknown, unknown>)]
      : value instanceof Set
        ? [...(value as ReadonlySet<unknown>)]
        : value,
  );
}

function isSame(one: Picture, other: Picture): boolean {
  return one.length === other.length && one.every((line, index) => line === other[index]);
}
