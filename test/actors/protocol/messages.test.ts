import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { protocolVersion } from "../../../actors/protocol/codec.js";
import {
  decodeMessage,
  encodeMessage,
  InvalidKeyError,
  InvalidTagError,
  MalformedMessageError,
  ProtocolVersionError,
  TooLargeError,
} from "../../../core/index.js";
import { examples, modules } from "./every-message.js";

const seed = 20_261_129;
const numRuns = 30;

/** Elements of every type that a message can contain, at the limits that fields accept. */
const strangers = [null, true, -1, 0, 1.5, 2 ** 53, "", "a", "\0", [], [null], {}, { type: "a" }, Buffer.alloc(0)];

/** Variants of the array: one element is replaced, or the end is cut off, at any depth. */
function* changed(message: unknown): Iterable<unknown> {
  yield* strangers;
  if (!Array.isArray(message)) return;
  for (let length = 0; length < message.length; length++) yield message.slice(0, length);
  yield [...(message as unknown[]), null];
  for (const [index, element] of message.entries()) for (const each of changed(element)) yield message.with(index, each) as unknown[];
}

function isTyped(error: unknown, name: string): boolean {
  if (error instanceof MalformedMessageError || error instanceof TooLargeError || error instanceof InvalidKeyError) return true;
  return name === "register" ? error instanceof ProtocolVersionError : error instanceof InvalidTagError;
}

test(`version ${protocolVersion} of the protocol has these messages, with these arrays on the wire`, () => {
  // When this test fails, old processes cannot read the new messages: raise protocolVersion.
  expect(protocolVersion).toBe(1);
  for (const [name, { codec, message, wire }] of Object.entries(examples)) {
    expect(Buffer.from(codec.write(message)), name).toEqual(encodeMessage(wire));
    expect(codec.read(encodeMessage(wire)), name).toEqual(message);
  }
});

test("every message is in the registry of these tests", () => {
  const known = new Set(Object.values(examples).map(({ codec }) => codec));
  const missing = Object.values(modules)
    .flatMap((module) => Object.entries<unknown>(module))
    .filter(([, exported]) => typeof exported === "object" && exported !== null && "write" in exported && "read" in exported)
    .filter(([, exported]) => !known.has(exported as never) && !isField(exported))
    .map(([name]) => name);
  expect(missing).toEqual([]);
});

/** Whether the export describes a part of messages, not a message. */
function isField(exported: unknown): boolean {
  return "slots" in (exported as object);
}

describe.each(Object.entries(examples))("%s", (name, { codec, any }) => {
  test("survives writing and reading", () => {
    fc.assert(
      fc.property(any, (message) => {
        expect(codec.read(codec.write(message))).toEqual(message);
      }),
      { numRuns, seed },
    );
  });

  test("with an element missing or of another type, causes a typed error or is read exactly", () => {
    fc.assert(
      fc.property(any, (message) => {
        for (const other of changed(decodeMessage(codec.write(message), name))) {
          let read: unknown;
          try {
            read = codec.read(encodeMessage(other));
          } catch (error) {
            expect(isTyped(error, name), String(error)).toBe(true);
            continue;
          }
          expect(decodeMessage(codec.write(read), name)).toEqual(decodeMessage(encodeMessage(other), name));
        }
      }),
      { numRuns, seed },
    );
  });

  test("cut off anywhere is a MalformedMessageError", () => {
    fc.assert(
      fc.property(any, (message) => {
        const bytes = codec.write(message);
        for (let length = 0; length < bytes.length; length++) {
          expect(() => codec.read(bytes.subarray(0, length))).toThrow(MalformedMessageError);
        }
      }),
      { numRuns, seed },
    );
  });
});
