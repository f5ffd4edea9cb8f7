import { describe, expect, test } from "vitest";
import type { RecordEntry } from "../../../actors/record/frames.js";
import { readRecording, recordingEnd, recordingEntry, recordingHead, type RecordingPart } from "../../../actors/record/recording.js";
import { MalformedMessageError } from "../../../core/index.js";

const info = { realm: "shop", startedAt: 1_800_000_000_000 };
const entries: readonly RecordEntry[] = Array.from({ length: 20 }, (_, index) =>
  index === 10
    ? { type: "lost", at: 5_000 + index, instance: "other" }
    : {
        type: "frame",
        at: 5_000 + index,
        frame: {
          format: 1,
          instance: "i",
          number: index,
          at: 4_000 + index,
          items: [{ type: "event", ms: 1, actor: 2, from: undefined, event: `E${index}` }],
        },
      },
);
const whole = Buffer.concat([recordingHead(info), ...entries.map(recordingEntry), recordingEnd(entries.length)]);

/** The parts of a file, which is read in pieces of `pieceBytes`. */
async function partsOf(file: Uint8Array, pieceBytes = 7): Promise<readonly RecordingPart[]> {
  async function* pieces() {
    for (let at = 0; at < file.length; at += pieceBytes) yield file.subarray(at, at + pieceBytes);
  }
  const parts: RecordingPart[] = [];
  for await (const part of readRecording(pieces())) parts.push(part);
  return parts;
}

const entriesIn = (parts: readonly RecordingPart[]) => parts.flatMap((part) => (part.type === "entry" ? [part.entry] : []));

describe("a recording", () => {
  test("is read as it was written", async () => {
    for (const pieceBytes of [1, 7, 100_000]) {
      const parts = await partsOf(whole, pieceBytes);
      expect(parts[0]).toEqual({ type: "info", info });
      expect(entriesIn(parts)).toEqual(entries);
      expect(parts.at(-1)).toEqual({ type: "end", entries: entries.length });
    }
  });

  test("that is cut off anywhere is read up to there, and says so", async () => {
    for (let length = recordingHead(info).length; length < whole.length; length++) {
      const parts = await partsOf(whole.subarray(0, length), 4_096);
      expect(parts.at(-1)).toMatchObject({ type: "damage", isCut: true });
      const read = entriesIn(parts);
      expect(read).toEqual(entries.slice(0, read.length));
      const bytes = read.reduce((sum, entry) => sum + recordingEntry(entry).length, recordingHead(info).length);
      const next = entries[read.length];
      expect(bytes <= length && (next === undefined || bytes + recordingEntry(next).length > length)).toBe(true);
    }
  });

  test("in which any byte is damaged is read up to there, and no wrong entry is read", async () => {
    for (let at = recordingHead(info).length; at < whole.length; at++) {
      const file = Buffer.from(whole);
      file[at] = (file[at] ?? 0) ^ (1 << (at % 8));
      const parts = await partsOf(file, 4_096);
      expect(parts.at(-1)).toMatchObject({ type: "damage" });
      const read = entriesIn(parts);
      expect(read).toEqual(entries.slice(0, read.length));
    }
  });

  test("of another format, and a file that is none, are refused", async () => {
    const other = Buffer.from(whole);
    other.writeUInt32LE(2, 8);
    await expect(partsOf(other)).rejects.toThrow("has format 2, not 1");
    await expect(partsOf(Buffer.from("{}"))).rejects.toBeInstanceOf(MalformedMessageError);
    await expect(partsOf(Buffer.alloc(0))).rejects.toBeInstanceOf(MalformedMessageError);
  });
});
