import { inspect } from "node:util";
import { describe, expect, expectTypeOf, test } from "vitest";
import {
  asTid,
  ConflictError,
  DisconnectedError,
  errorClasses,
  errorFromWire,
  errorToWire,
  InternalError,
  MalformedMessageError,
  NotOwnerError,
  StaleError,
  type Tid,
  ZooidError,
} from "../../core/index.js";
import { errorClass } from "../../core/errors/base.js";

const classes = Object.entries(errorClasses).map(([name, errorClass]) => ({ name, errorClass }));
const examples: Readonly<Record<string, string | number | boolean>> = { string: "a text", number: 7, boolean: true, tid: asTid(9) };

/** A fact for each name, including optional facts. */
function factsOf(errorClass: (typeof classes)[number]["errorClass"]): Record<string, string | number | boolean> {
  return Object.fromEntries(Object.entries(errorClass.factTypes).map(([name, type]) => [name, examples[type.replace("?", "")] ?? ""]));
}

function made(errorClass: (typeof classes)[number]["errorClass"], facts: object, cause?: unknown): ZooidError {
  return new (errorClass as new (facts: never, cause?: unknown) => ZooidError)(facts as never, cause);
}

describe.each(classes)("$name", ({ name, errorClass }) => {
  const facts = factsOf(errorClass);

  test("has a permanent code that names its class", () => {
    const error = made(errorClass, facts);
    const words = name.replace(/Error$/, "").replace(/(?<=[a-z])(?=[A-Z])/g, "_");
    expect(error).toBeInstanceOf(ZooidError);
    expect(error.name).toBe(name);
    expect(error.code).toBe(`ZOOID_${words.toUpperCase()}`);
    expect(error.transient).toBe(errorClass.transient);
    expect(String(error)).toBe(`${name}: ${error.message}`);
  });

  test("has its facts as fields, before and after it is sent", () => {
    const cause = new Error("below");
    const error = made(errorClass, facts, cause);
    const arrived = errorFromWire(...errorToWire(error));
    for (const each of [error, arrived]) {
      expect(each).toBeInstanceOf(errorClass);
      expect(each).toMatchObject(facts);
      expect(each.facts).toStrictEqual(facts);
      expect(each.message).toBe(error.message);
      expect(inspect(each)).toContain(name);
    }
    expect(error.cause).toBe(cause);
  });

  test("arrives as an internal error when a fact is missing or of another type", () => {
    for (const [fact, type] of Object.entries(errorClass.factTypes)) {
      for (const wrong of [undefined, null, [], {}, type === "string" || type === "string?" ? 1 : "1"]) {
        const isAllowed = wrong === undefined && type.endsWith("?");
        expect(errorFromWire(name, { ...facts, [fact]: wrong })).toBeInstanceOf(isAllowed ? errorClass : InternalError);
      }
      if (type === "tid") expect(errorFromWire(name, { ...facts, [fact]: -1 })).toBeInstanceOf(InternalError);
    }
  });
});

test("no two errors have the same code", () => {
  expect(new Set(classes.map(({ errorClass }) => errorClass.code)).size).toBe(classes.length);
});

test("facts are typed fields", () => {
  const conflict = new ConflictError({ key: "a", base: asTid(1), current: asTid(2) });
  expectTypeOf(conflict.key).toEqualTypeOf<string>();
  expectTypeOf(conflict.current).toEqualTypeOf<Tid>();
  expectTypeOf(conflict.facts.current).toEqualTypeOf<Tid>();
  expectTypeOf(conflict.code).toEqualTypeOf<"ZOOID_CONFLICT">();
  expectTypeOf<DisconnectedError["reason"]>().toEqualTypeOf<string | undefined>();
  expectTypeOf<ZooidError>().not.toHaveProperty("key");
  expectTypeOf<NotOwnerError>().not.toExtend<ConflictError>();
  expectTypeOf<ConstructorParameters<typeof StaleError>>().toEqualTypeOf<
    [facts: { readonly staleMs: number; readonly maxStaleMs: number }, cause?: unknown]
  >();
  // @ts-expect-error: a fact is missing.
  void new ConflictError({ key: "a", base: asTid(1) });
  const error: unknown = conflict;
  if (error instanceof ConflictError) expectTypeOf(error.key).toEqualTypeOf<string>();
});

test("no fact has the name of a field that every error has", () => {
  const kind = { code: "ZOOID_WRONG", transient: false, message: () => "" } as const;
  // @ts-expect-error: every error has a message.
  errorClass({ ...kind, facts: { message: "string" } });
  // @ts-expect-error: every error has a name.
  errorClass({ ...kind, facts: { name: "string?" } });
  for (const { errorClass } of classes) {
    for (const fact of Object.keys(errorClass.factTypes))
      expect(fact in new InternalError({ reason: "" }) && fact !== "reason").toBe(false);
  }
});

test("an error prints each fact once", () => {
  const error = new StaleError({ staleMs: 12_345, maxStaleMs: 3 });
  expect(JSON.parse(JSON.stringify(error))).toStrictEqual({ code: "ZOOID_STALE", transient: true, staleMs: 12_345, maxStaleMs: 3 });
  expect(inspect(error).match(/staleMs: 12345/g)).toHaveLength(1);
});

test("only the facts of its class become fields of an error, and unknown facts are not sent", () => {
  const given = { what: "a", reason: "b", message: "c", isUnheard: true, __proto__: { stack: "d" } };
  expect(new MalformedMessageError(given).facts).toStrictEqual({ what: "a", reason: "b" });
  const arrived = errorFromWire("DisconnectedError", { address: "x", ...given });
  expect(arrived).toMatchObject({ isUnheard: false, message: "not connected to x: b", facts: { address: "x", reason: "b" } });
  expect(Object.keys(arrived.facts)).toStrictEqual(["address", "reason"]);
});

test("an error that is not a ZooidError is sent as an InternalError, and a malformed one arrives as one", () => {
  expect(errorToWire(new TypeError("x"))).toStrictEqual(["InternalError", { reason: "x" }]);
  for (const [name, given] of [
    ["Nothing", {}],
    ["constructor", {}],
    ["__proto__", {}],
    [7, {}],
    ["ConflictError", null],
    ["ConflictError", "x"],
    ["ConflictError", []],
  ] as const) {
    expect(errorFromWire(name, given)).toBeInstanceOf(InternalError);
  }
  expect(errorFromWire("ConflictError", {}).message).toBe("internal error: the other side answered ConflictError with malformed facts");
});
