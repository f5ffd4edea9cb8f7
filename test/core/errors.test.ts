import { expect, test } from "vitest";
import { ConflictError, errorClasses, errorFromWire, errorToWire, InternalError, ZooidError, type Fact } from "../../core/index.js";

const facts: Record<string, Fact> = new Proxy({}, { get: () => 1, ownKeys: () => [], has: () => true });

test("every error has a permanent code of its own that tells its class", () => {
  const codes = Object.entries(errorClasses).map(([name, errorClass]) => {
    const error = new (errorClass as new (facts: never) => ZooidError)(facts as never);
    expect(error.name).toBe(name);
    expect(typeof error.transient).toBe("boolean");
    const words = name.replace(/Error$/, "").replace(/(?<=[a-z])(?=[A-Z])/g, "_");
    expect(error.code).toBe(`ZOOID_${words.toUpperCase()}`);
    return error.code;
  });
  expect(new Set(codes).size).toBe(codes.length);
});

test("an error travels with its class and facts", () => {
  const error = new ConflictError({ key: "a", base: 1 as never, current: 2 as never });
  const arrived = errorFromWire(...errorToWire(error));
  expect(arrived).toBeInstanceOf(ConflictError);
  expect(arrived.facts).toStrictEqual(error.facts);
  expect(arrived.message).toBe(error.message);
});

test("what is not ours travels as an internal error, and so arrives whatever is malformed", () => {
  expect(errorToWire(new TypeError("x"))).toStrictEqual(["InternalError", { reason: "x" }]);
  for (const [name, given] of [
    ["Nothing", {}],
    ["constructor", {}],
    [7, {}],
    ["ConflictError", null],
    ["ConflictError", "x"],
  ] as const) {
    expect(errorFromWire(name, given)).toBeInstanceOf(InternalError);
  }
});
