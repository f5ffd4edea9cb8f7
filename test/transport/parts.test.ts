import { describe, expect, test } from "vitest";
import { Joiner, type PartPosition, positionFromText, positionToText, split } from "../../transport/parts.js";
import { SimulatedClock } from "../../testing/index.js";
import { limits, silentLog } from "../../core/index.js";

const payload = new Uint8Array(1_000).map((_, index) => index);
const parts = (message = "m", bytes = payload) => split("test", message, bytes, 356);
const logOf = (reasons: string[]) => ({ ...silentLog, warn: (facts: object) => void reasons.push(String(Reflect.get(facts, "reason"))) });

describe("a message in parts", () => {
  test("is whole again when its parts are joined, with the parts of several messages mixed", () => {
    const joiner = new Joiner(new SimulatedClock(), silentLog);
    const joined = parts("a").flatMap((part, index) => {
      const other = parts("b")[index] as typeof part;
      return [joiner.addPart("r", part.position, part.bytes), joiner.addPart("r", other.position, other.bytes)];
    });
    expect(parts().length).toBe(10);
    expect(joined.filter((whole) => whole !== undefined)).toEqual([Buffer.from(payload), Buffer.from(payload)]);
  });

  test("is joined by each of its receivers", () => {
    const joiner = new Joiner(new SimulatedClock(), silentLog);
    const joined = parts().map(({ position, bytes }) => [joiner.addPart("r1", position, bytes), joiner.addPart("r2", position, bytes)]);
    expect(joined.at(-1)).toEqual([Buffer.from(payload), Buffer.from(payload)]);
  });

  test("is dropped when a part is missing, comes twice, or has another size", () => {
    const wrong: ((list: ReturnType<typeof parts>) => ReturnType<typeof parts>)[] = [
      (list) => list.toSpliced(0, 1),
      (list) => list.toSpliced(4, 1),
      (list) => list.toSpliced(4, 0, list[4] as (typeof list)[0]),
      (list) => list.map((part, index) => (index === 5 ? { ...part, position: { ...part.position, size: 999 } } : part)),
      (list) => list.map((part, index) => (index === 5 ? { ...part, bytes: new Uint8Array(0) } : part)),
      (list) => list.map((part, index) => (index === 9 ? { ...part, bytes: part.bytes.subarray(1) } : part)),
      (list) => list.map((part, index) => (index === 9 ? { ...part, bytes: new Uint8Array(200) } : part)),
    ];
    for (const spoil of wrong) {
      const joiner = new Joiner(new SimulatedClock(), silentLog);
      expect(spoil(parts()).map(({ position, bytes }) => joiner.addPart("r", position, bytes))).not.toContainEqual(expect.any(Uint8Array));
      // The next message is joined again.
      expect(
        parts("next")
          .map(({ position, bytes }) => joiner.addPart("r", position, bytes))
          .at(-1),
      ).toEqual(Buffer.from(payload));
    }
  });

  test("is dropped when its parts stand still, and leaves no timer behind", async () => {
    const clock = new SimulatedClock();
    const reasons: string[] = [];
    const joiner = new Joiner(clock, logOf(reasons));
    const [first, second] = parts();
    joiner.addPart("r", first?.position as PartPosition, first?.bytes as Uint8Array);
    await clock.advance(limits.joiningTimeoutMs);
    expect(reasons).toEqual(["a part did not arrive"]);
    expect(joiner.addPart("r", second?.position as PartPosition, second?.bytes as Uint8Array)).toBeUndefined();
    expect(await clock.step()).toBe(false);
  });

  test("is dropped when it exceeds the bound on joining, and the others are not", () => {
    const reasons: string[] = [];
    const joiner = new Joiner(new SimulatedClock(), logOf(reasons), 6_500);
    const [first, second] = [parts("first"), parts("second")];
    for (const { position, bytes } of first.slice(0, 9)) joiner.addPart("r", position, bytes);
    for (const { position, bytes } of second) joiner.addPart("r", position, bytes);
    const last = first[9] as (typeof first)[0];
    expect(joiner.addPart("r", last.position, last.bytes)).toEqual(Buffer.from(payload));
    expect(reasons).toEqual(["too much is being joined"]);
  });
});

test("messages that stop after a byte are bounded like large ones, and keep no larger buffer alive", () => {
  const reasons: string[] = [];
  const joiner = new Joiner(new SimulatedClock(), logOf(reasons));
  const read = new Uint8Array(64 * 1024);
  const incomplete = limits.joiningBytesMax / 512;
  for (let index = 0; index < incomplete; index++) {
    joiner.addPart(
      "r",
      { message: `m${index}`, index: 0, count: 2, size: 2 },
      read.subarray(index % read.length, (index % read.length) + 1),
    );
  }
  expect(reasons.length).toBeGreaterThan(0);
  expect(reasons.length).toBeLessThan(incomplete / 100);
  joiner.clear();
  const [first, last] = [read.subarray(0, 1), new Uint8Array([2])];
  joiner.addPart("r", { message: "copied", index: 0, count: 2, size: 2 }, first);
  read[0] = 9;
  expect(joiner.addPart("r", { message: "copied", index: 1, count: 2, size: 2 }, last)).toEqual(Buffer.from([0, 2]));
});

describe("the position of a part", () => {
  test("is written and read as text", () => {
    const position = { message: "0123456789abcdef-12", index: 3, count: 17, size: limits.messageBytesMax };
    expect(positionFromText(positionToText(position))).toEqual(position);
  });

  test.each([
    "",
    "m 0 1",
    "m 0 1 1 1",
    "m -1 1 1",
    "m 1 1 1",
    "m 0 2 1",
    "m 0 0 0",
    "m 0.5 1 1",
    `m 0 1 ${limits.messageBytesMax + 1}`,
    `${"m".repeat(65)} 0 1 1`,
    "m m 0 1 1",
    "m 0 1e9 1",
  ])("%j is not a position", (text) => {
    expect(positionFromText(text)).toBeUndefined();
  });
});

test("no message above messageBytesMax is split", () => {
  expect(() => split("test", "m", new Uint8Array(limits.messageBytesMax + 1), 1024)).toThrow(
    expect.objectContaining({ code: "ZOOID_TOO_LARGE" }),
  );
});
