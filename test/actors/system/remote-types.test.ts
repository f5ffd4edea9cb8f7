import { expect, expectTypeOf, test } from "vitest";
import { setup } from "xstate";
import type { ActorSystem, EventOf, RemoteActor, StateOf, TagOf } from "../../../actors/index.js";

const doorMachine = setup({
  types: {
    events: {} as { type: "OPEN"; by: string } | { type: "CLOSE" },
    tags: {} as "passable",
    input: {} as { readonly id: string },
    output: {} as { readonly times: number },
  },
}).createMachine({
  id: "door",
  initial: "closed",
  states: {
    closed: { on: { OPEN: "open" } },
    open: { tags: "passable", initial: "wide", states: { wide: {}, ajar: {} }, on: { CLOSE: "gone" } },
    gone: { type: "final" },
  },
  output: { times: 1 },
});

type Door = RemoteActor<typeof doorMachine>;

/** Compiled, and never run: each line that must not compile has an error that the compiler expects. */
export const calls = {
  async remote(door: Door): Promise<void> {
    await door.send({ type: "OPEN", by: "warden" });
    const { value, tags, output } = await door.ask({ type: "CLOSE" }, { until: { state: "gone" } });
    expectTypeOf(value).toEqualTypeOf<"closed" | "gone" | { open: "wide" | "ajar" }>();
    expectTypeOf(tags).toEqualTypeOf<readonly "passable"[]>();
    expectTypeOf(output).toEqualTypeOf<{ readonly times: number } | undefined>();
    await door.waitFor({ state: { open: "ajar" }, timeoutMs: "1m" });
    await door.waitFor({ tag: "passable" });

    // @ts-expect-error: no such event
    await door.send({ type: "BURN" });
    // @ts-expect-error: an event without its field
    await door.send({ type: "OPEN" });
    // @ts-expect-error: a field of another type
    await door.ask({ type: "OPEN", by: 1 }, { until: { state: "open" } });
    // @ts-expect-error: no such state
    await door.ask({ type: "CLOSE" }, { until: { state: "away" } });
    // @ts-expect-error: no such inner state
    await door.waitFor({ state: { open: "shut" } });
    // @ts-expect-error: no such tag
    await door.waitFor({ tag: "shut" });
    // @ts-expect-error: neither a state nor a tag
    await door.waitFor({ timeoutMs: 1 });
    // @ts-expect-error: an ask waits for a state
    await door.ask({ type: "CLOSE" }, {});
  },

  spawn(system: ActorSystem): void {
    system.spawn("door", doorMachine, { input: { id: "1" }, accepts: ["CLOSE"] });
    // @ts-expect-error: the machine needs an input
    system.spawn("door", doorMachine);
    // @ts-expect-error: another input
    system.spawn("door", doorMachine, { input: { id: 1 } });
    // @ts-expect-error: the machine has no such event
    system.spawn("door", doorMachine, { input: { id: "1" }, accepts: ["BURN"] });
    // @ts-expect-error: there is no such supervision
    system.spawn("door", doorMachine, { input: { id: "1" }, supervise: { restart: "later" } });
  },

  async untyped(system: ActorSystem): Promise<void> {
    await system.remote("door").ask({ type: "ANYTHING", by: 1 }, { until: { state: { open: "ajar" } } });
  },
};

test("a remote actor is typed by its machine: events without those of XState, states and tags", () => {
  expectTypeOf<EventOf<typeof doorMachine>>().toEqualTypeOf<{ type: "OPEN"; by: string } | { type: "CLOSE" }>();
  expectTypeOf<StateOf<typeof doorMachine>>().extract<string>().toEqualTypeOf<"closed" | "open" | "gone">();
  expectTypeOf<TagOf<typeof doorMachine>>().toEqualTypeOf<"passable">();
  expect(Object.keys(calls)).toEqual(["remote", "spawn", "untyped"]);
});
