/** The recording of a watcher's life as the bytes of a file: written, cut off, and read again. */
import type { RecordEntry } from "../../../actors/record/frames.js";
import { applyEntry, emptyModel } from "../../../actors/record/model.js";
import { readRecording, recordingEnd, recordingEntry, recordingHead } from "../../../actors/record/recording.js";
import type { Random } from "../../../core/index.js";
import { flat } from "./record-checker.js";

/** Bytes that a file gives at once. */
const chunkBytes = 64 * 1024;

/** The recording of a life that has ended. */
export class RecordedLife {
  readonly watcher: string;
  readonly #blocks: readonly Buffer[];
  readonly #entries: readonly RecordEntry[];
  readonly #model: string;

  /** `model` is the model of the watcher at the end, as text. */
  constructor(watcher: string, entries: readonly RecordEntry[], model: string) {
    this.watcher = watcher;
    this.#entries = entries;
    this.#model = model;
    this.#blocks = [recordingHead({ realm: "sim", startedAt: 0 }), ...entries.map(recordingEntry), recordingEnd(entries.length)];
  }

  /** Reads the whole file, and one that is cut off at any byte after its head. Returns what is wrong, as a sentence. */
  async faultIn(random: Random): Promise<string | undefined> {
    const [head = Buffer.alloc(0)] = this.#blocks;
    const bytes = Buffer.concat(this.#blocks);
    const whole = await read(bytes);
    if (whole.end !== "end" || whole.model !== this.#model) return "a file replays to the identical model";
    const cut = head.length + Math.floor(random.fraction() * (bytes.length - head.length));
    const part = await read(bytes.subarray(0, cut));
    let [count, size] = [0, head.length];
    for (const { length } of this.#blocks.slice(1)) if ((size += length) <= cut) count++;
    if (part.end !== "cut" || part.entries !== count) return "a file that is cut off is read up to its last whole entry";
    const then = emptyModel();
    for (const entry of this.#entries.slice(0, count)) applyEntry(then, entry);
    return part.model === flat(then) ? undefined : "a file that is cut off replays to the model of its last entry";
  }
}

async function read(bytes: Buffer): Promise<{ readonly model: string; readonly entries: number; readonly end: string | undefined }> {
  const model = emptyModel();
  let entries = 0;
  let end: string | undefined;
  for await (const part of readRecording(chunksOf(bytes))) {
    if (part.type === "entry") {
      entries++;
      applyEntry(model, part.entry);
    } else if (part.type !== "info") end = part.type === "damage" ? (part.isCut ? "cut" : "damaged") : "end";
  }
  return { model: flat(model), entries, end };
}

async function* chunksOf(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += chunkBytes) yield await Promise.resolve(bytes.subarray(at, at + chunkBytes));
}
