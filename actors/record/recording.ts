/**
 * A recording: entries of a record in a file.
 *
 *     "ZOOIDREC"  8 bytes
 *     format      4 bytes, little-endian
 *     blocks      length (4 bytes), CRC-32 of the payload (4 bytes), payload
 *
 * The first block is JSON about the recording, the others are entries, and a last one says that the recording ended as
 * planned. A file that was cut off or damaged is read up to the damage.
 */
import { crc32 } from "node:zlib";
import { asBuffer, decodeMessage, encodeMessage, limits, MalformedMessageError, ZooidError } from "../../core/index.js";
import { type RecordEntry, recordFrame } from "./frames.js";

/** Number of the format of recordings. Another one is not read. */
export const recordingFormat = 1;

/** About a recording. */
export interface RecordingInfo {
  readonly realm: string;
  /** Wall clock at its beginning, in milliseconds. */
  readonly startedAt: number;
}

/** A part of a recording, in the order of the file. */
export type RecordingPart =
  | { readonly type: "info"; readonly info: RecordingInfo }
  | { readonly type: "entry"; readonly entry: RecordEntry }
  /** The recording ended as planned, after so many entries. */
  | { readonly type: "end"; readonly entries: number }
  /** Nothing after this byte can be read. `cut`: the file ends there. */
  | { readonly type: "damage"; readonly isCut: boolean; readonly at: number; readonly reason: string };

const magic = Buffer.from("ZOOIDREC");
const headBytes = 8;
const kinds = { frame: 0, lost: 1, end: 2 } as const;
/** A block holds one frame, which fits into one message, and a little more. */
const blockBytesMax = limits.payloadBytesMax + 1_024;

/** The beginning of a recording. */
export function recordingHead(info: RecordingInfo): Buffer {
  const head = Buffer.alloc(magic.length + 4);
  magic.copy(head);
  head.writeUInt32LE(recordingFormat, magic.length);
  return Buffer.concat([head, block(Buffer.from(JSON.stringify(info)))]);
}

/** The block of one entry. */
export function recordingEntry(entry: RecordEntry): Buffer {
  return block(
    encodeMessage(
      entry.type === "frame" ? [kinds.frame, entry.at, recordFrame.write(entry.frame)] : [kinds.lost, entry.at, entry.instance],
    ),
  );
}

/** The end of a recording with so many entries. */
export function recordingEnd(entries: number): Buffer {
  return block(encodeMessage([kinds.end, entries]));
}

function block(payload: Uint8Array): Buffer {
  const head = Buffer.alloc(headBytes);
  head.writeUInt32LE(payload.length, 0);
  head.writeUInt32LE(crc32(payload), 4);
  return Buffer.concat([head, payload]);
}

/**
 * The parts of a recording, from its bytes. A damaged file ends with `damage`; one whose format is another, or that is
 * no recording, throws MalformedMessageError at once.
 */
export async function* readRecording(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<RecordingPart> {
  const bytes = new Bytes(chunks);
  const head = await bytes.take(magic.length + 4);
  if (head?.subarray(0, magic.length).equals(magic) !== true)
    throw new MalformedMessageError({ what: "recording", reason: "does not begin as a recording" });
  const format = head.readUInt32LE(magic.length);
  if (format !== recordingFormat)
    throw new MalformedMessageError({ what: "recording", reason: `has format ${format}, not ${recordingFormat}` });
  for (let isFirst = true; ; isFirst = false) {
    const at = bytes.at;
    const part = await readBlock(bytes, isFirst);
    if (typeof part !== "string") {
      yield part;
      if (part.type === "end") return;
      continue;
    }
    const isCut = part === cutOff;
    yield { type: "damage", isCut, at, reason: isCut && bytes.at === at ? "it has no end" : part };
    return;
  }
}

const cutOff = "it ends within a block";

/** The next part, or why it cannot be read. */
async function readBlock(bytes: Bytes, isFirst: boolean): Promise<RecordingPart | string> {
  const head = await bytes.take(headBytes);
  if (head === undefined) return cutOff;
  const [length, sum] = [head.readUInt32LE(0), head.readUInt32LE(4)];
  if (length > blockBytesMax) return `a block of ${length} bytes is longer than any`;
  const payload = await bytes.take(length);
  if (payload === undefined) return cutOff;
  if (crc32(payload) !== sum) return "the checksum of a block is wrong";
  try {
    return isFirst ? infoIn(payload) : partIn(payload);
  } catch (error) {
    if (!(error instanceof ZooidError || error instanceof SyntaxError)) throw error;
    return error.message;
  }
}

function infoIn(payload: Buffer): RecordingPart {
  const info: unknown = JSON.parse(payload.toString());
  if (typeof info !== "object" || info === null || !("realm" in info) || !("startedAt" in info)) return malformed("has no realm");
  const { realm, startedAt } = info;
  if (typeof realm !== "string" || typeof startedAt !== "number") return malformed("has no realm");
  return { type: "info", info: { realm, startedAt } };
}

function partIn(payload: Buffer): RecordingPart {
  const elements = decodeMessage(payload, "recording");
  if (!Array.isArray(elements)) return malformed("has a block that is no entry");
  const [kind, at, content] = elements as readonly unknown[];
  if (typeof at !== "number") return malformed("has an entry without a time");
  if (kind === kinds.end) return { type: "end", entries: at };
  if (kind === kinds.lost && typeof content === "string") return { type: "entry", entry: { type: "lost", at, instance: content } };
  if (kind === kinds.frame && content instanceof Uint8Array)
    return { type: "entry", entry: { type: "frame", at, frame: recordFrame.read(content) } };
  return malformed("has an entry of no known kind");
}

function malformed(reason: string): never {
  throw new MalformedMessageError({ what: "recording", reason });
}

/** Takes pieces of any length from chunks. */
class Bytes {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #held: Buffer[] = [];
  #heldBytes = 0;
  /** Bytes that were taken. */
  at = 0;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** Undefined: there are less. */
  async take(length: number): Promise<Buffer | undefined> {
    while (this.#heldBytes < length) {
      const { done, value } = await this.#chunks.next();
      if (done === true) {
        this.at += this.#heldBytes;
        return undefined;
      }
      this.#held.push(asBuffer(value));
      this.#heldBytes += value.length;
    }
    const all = this.#held.length === 1 && this.#held[0] !== undefined ? this.#held[0] : Buffer.concat(this.#held);
    this.#held = [all.subarray(length)];
    this.#heldBytes = all.length - length;
    this.at += length;
    return all.subarray(0, length);
  }
}
