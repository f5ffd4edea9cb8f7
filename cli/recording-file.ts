import { createReadStream } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import {
  type RecordEntry,
  readRecording,
  type RecordingInfo,
  type RecordingPart,
  recordingEnd,
  recordingEntry,
  recordingHead,
} from "../actors/index.js";
import { MalformedMessageError } from "../core/index.js";
import { CommandError } from "./failure.js";
import { count } from "./progress.js";

/** Entries that wait for the disk. Later ones are left out: a replay shows them as missing frames. */
const waitingBytesMax = 64 * 1024 * 1024;

/**
 * A recording that is being written. Each entry goes to the system as it arrives, and a frame arrives within
 * `limits.recordFrameMs`: a recorder that is killed loses less than a second, unless the disk is slower than that.
 */
export class RecordingFile {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #bytesMax: number;
  #writing: Promise<void> = Promise.resolve();
  #failure: CommandError | undefined;
  #waitingBytes = 0;
  /** Counts of what is in the file, or on its way there. */
  entries = 0;
  bytes = 0;
  leftOut = 0;

  /** Throws a CommandError if the file is there already, unless `overwrite`, or cannot be written. */
  static async create(path: string, info: RecordingInfo, options: { overwrite: boolean; bytesMax: number }): Promise<RecordingFile> {
    let file: FileHandle;
    try {
      file = await open(path, options.overwrite ? "w" : "wx");
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const reason = code === "EEXIST" ? "is there already: --overwrite replaces it" : `cannot be written: ${code ?? String(error)}`;
      throw new CommandError("ZOOID_FILE", `${path} ${reason}`, { path }, error);
    }
    const recording = new RecordingFile(path, file, options.bytesMax);
    recording.#write(recordingHead(info));
    return recording;
  }

  private constructor(path: string, file: FileHandle, bytesMax: number) {
    this.#path = path;
    this.#file = file;
    this.#bytesMax = bytesMax;
  }

  /** Appends an entry. Returns true when the file has its greatest size. Throws the CommandError of a failed write. */
  add(entry: RecordEntry): boolean {
    if (this.#failure !== undefined) throw this.#failure;
    const block = recordingEntry(entry);
    if (this.bytes + block.length > this.#bytesMax) return true;
    if (this.#waitingBytes > waitingBytesMax) {
      this.leftOut++;
      return false;
    }
    this.entries++;
    this.#write(block);
    return false;
  }

  /** Why writing failed. */
  get failure(): CommandError | undefined {
    return this.#failure;
  }

  /** Writes the end, and waits until all is on disk. Throws the CommandError of a failed write. */
  async end(): Promise<void> {
    this.#write(recordingEnd(this.entries));
    await this.#writing;
    try {
      if (this.#failure === undefined) await this.#file.sync().catch((error: unknown) => this.#failed(error));
    } finally {
      await this.#file.close().catch((error: unknown) => this.#failed(error));
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  #write(block: Buffer): void {
    this.bytes += block.length;
    this.#waitingBytes += block.length;
    this.#writing = this.#writing.then(async () => {
      try {
        // A write may take a part only.
        for (let at = 0; at < block.length && this.#failure === undefined;) at += (await this.#file.write(block, at)).bytesWritten;
      } catch (error) {
        this.#failed(error);
      }
      this.#waitingBytes -= block.length;
    });
  }

  #failed(error: unknown): void {
    const { code = String(error) } = error as NodeJS.ErrnoException;
    const reason = code === "ENOSPC" ? "the disk is full" : `it cannot be written (${code})`;
    const message = `${this.#path}: ${reason}, after ${count(this.entries)} entries. \`zooid replay\` reads it up to there`;
    this.#failure ??= new CommandError("ZOOID_FILE", message, { path: this.#path, reason: code }, error);
  }
}

/** The parts of the recording at `path`. Throws a CommandError when it is no recording, or cannot be read. */
export async function* readRecordingFile(path: string): AsyncGenerator<RecordingPart> {
  try {
    yield* readRecording(createReadStream(path));
  } catch (error) {
    if (error instanceof MalformedMessageError) throw new CommandError("ZOOID_FILE", `${path}: ${error.message}`, { path }, error);
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined || !/^E[A-Z]+$/.test(code)) throw error;
    throw new CommandError("ZOOID_FILE", `${path} cannot be read: ${code}`, { path }, error);
  }
}
