import { describe, expectTypeOf, test } from "vitest";
import { z } from "zod";
import { connect, type ConnectOptions, type ObjectClient, type Tid, type Value } from "../../../index.js";

interface City {
  readonly name: string;
  readonly population: number;
}

interface Schema {
  readonly [key: `city/${string}`]: City;
  readonly [key: `count/${string}`]: bigint;
  readonly settings: { readonly theme: "dark" | "light" };
}

declare const store: ObjectClient<Schema>;
const id = "DE/01/Kiel" as string;

// For the compiler only: the functions are never called.
describe("types come from the schema", () => {
  test("for reads", () => {
    const read = async () => {
      expectTypeOf(await store.get(`city/${id}`)).toEqualTypeOf<City | undefined>();
      expectTypeOf(await store.get("settings")).toEqualTypeOf<{ readonly theme: "dark" | "light" } | undefined>();
      expectTypeOf(await store.getMany([`city/${id}`])).toEqualTypeOf<readonly (City | undefined)[]>();
      const { value } = await store.read((tx) => tx.get(`count/${id}`));
      expectTypeOf(value).toEqualTypeOf<bigint | undefined>();
      // @ts-expect-error no pattern matches this key
      await store.get(`town/${id}`);
    };
    expectTypeOf(read).returns.resolves.toBeVoid();
  });

  test("for writes", () => {
    const written = async () => {
      expectTypeOf(await store.put(`city/${id}`, { name: "Kiel", population: 1 })).toEqualTypeOf<Tid>();
      const { value } = await store.transact(async (tx) => {
        const city = await tx.update(`city/${id}`, (draft) => {
          if (draft !== undefined) draft.population++;
        });
        await tx.delete("settings");
        return city;
      });
      expectTypeOf(value).toEqualTypeOf<City | undefined>();
      // @ts-expect-error a city has a name
      await store.put(`city/${id}`, { population: 1 });
      // @ts-expect-error a read-only transaction has no put
      await store.read((tx) => tx.put("settings", { theme: "dark" }));
    };
    expectTypeOf(written).returns.resolves.toBeVoid();
  });

  test("for listings, when the prefix belongs to one pattern", () => {
    const listed = async () => {
      for await (const [key, value] of store.list("city/DE/")) {
        expectTypeOf(key).toEqualTypeOf<`city/DE/${string}`>();
        expectTypeOf(value).toEqualTypeOf<City>();
      }
      for await (const change of store.watch("city/")) {
        if (change.type === "changed") expectTypeOf(change.tid).toEqualTypeOf<Tid>();
      }
    };
    expectTypeOf(listed).returns.resolves.toBeVoid();
  });

  test("for validators, by pattern", () => {
    const city = z.object({ name: z.string(), population: z.number() });
    const options = { servers: "nats://localhost", schemas: { "city/*": city } } satisfies ConnectOptions<Schema>;
    expectTypeOf(connect<Schema>).toBeCallableWith(options);
    // @ts-expect-error its output is not a count
    const wrong: ConnectOptions<Schema> = { servers: "", schemas: { "count/*": city } };
    expectTypeOf(wrong).toEqualTypeOf<ConnectOptions<Schema>>();
  });

  test("and are any value without a schema", () => {
    const untyped = async (plain: ObjectClient) => {
      expectTypeOf(await plain.get("x")).toEqualTypeOf<Value | undefined>();
      await plain.put("x", [1, new Date(), { n: 1n }]);
      for await (const row of plain.list("x/")) expectTypeOf(row).toEqualTypeOf<readonly [`x/${string}`, Value]>();
    };
    expectTypeOf(untyped).returns.resolves.toBeVoid();
  });
});
