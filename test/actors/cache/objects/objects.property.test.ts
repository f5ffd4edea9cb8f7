import fc from "fast-check";
import { expect, test } from "vitest";
import type { ObjectClient } from "../../../../actors/client/object-client.js";
import { assert } from "../../../../core/index.js";
import { all } from "../../../support/client-world.js";
import type { TappedTransport } from "../../../support/tapped-transport.js";
import { type ObjectWorld, objectWorld } from "./object-world.js";
import { type Gate, gate } from "../open.js";

const keys = ["a", "ab", "b", "ba", "c"] as const;
const prefixes = ["", "a", "b", "x"] as const;
const actions = "put put own remove hold deliver call call call call call call call slow slow open wait".split(" ");

type State = ReadonlyMap<string, number>;

/** A function that reads objects, and its result for a given state. */
interface Asked {
  readonly call: (of: string) => Promise<unknown>;
  readonly says: (state: State) => unknown;
}

/** The gates at which slow functions wait. */
interface Pauses {
  waiting: Gate<void>[];
  isOver: boolean;
}

/**
 * One client and one cache serve all runs, with keys of each run's own. The result of every function is known for every
 * transaction.
 */
class Run {
  readonly #world: ObjectWorld;
  readonly #client: ObjectClient;
  readonly #transport: TappedTransport;
  readonly #functions: readonly ((x: number) => Asked)[];
  readonly #name: string;
  readonly #states: { readonly tid: number; readonly state: State }[] = [{ tid: 0, state: new Map() }];
  readonly #late: (() => void)[] = [];
  readonly #open: Promise<unknown>[] = [];
  readonly #pauses: Pauses;
  #value = 0;
  readonly found = { hits: 0, misses: 0 };

  constructor(
    world: ObjectWorld,
    through: { readonly client: ObjectClient; readonly transport: TappedTransport },
    functions: readonly ((x: number) => Asked)[],
    pauses: Pauses,
    name: string,
  ) {
    this.#world = world;
    this.#client = through.client;
    this.#transport = through.transport;
    this.#functions = functions;
    this.#pauses = pauses;
    pauses.isOver = false;
    this.#name = name;
  }

  async step(what: number, x: number): Promise<void> {
    const { run, writer, clock } = this.#world;
    const key = keys[x % keys.length] ?? "a";
    switch (actions[what]) {
      case "put":
        await this.#committed(run(writer.put(`${this.#name}${key}`, ++this.#value)), key, this.#value);
        break;
      case "own": {
        // Held messages are missing before this commit, so the client requests them.
        await this.#committed(run(this.#client.put(`${this.#name}${key}`, ++this.#value)), key, this.#value);
        break;
      }
      case "remove":
        await this.#committed(run(writer.delete(`${this.#name}${key}`)), key, undefined);
        break;
      case "hold":
        this.#transport.takes = (_message, deliver) => {
          this.#late.push(deliver);
          return false;
        };
        break;
      case "deliver":
        for (const deliver of this.#late.splice(0, 1 + (x % 3))) deliver();
        if (this.#late.length === 0) this.#transport.takes = () => true;
        break;
      case "call":
      case "slow":
        await this.#call(x, actions[what] === "slow");
        break;
      case "open":
        this.#pauses.waiting.shift()?.open();
        break;
      default:
        await clock.advance(1);
    }
  }

  async #committed(committing: Promise<number>, key: string, value: number | undefined): Promise<void> {
    const tid = await committing;
    const state = new Map(this.#states.at(-1)?.state);
    if (value === undefined) state.delete(key);
    else state.set(key, value);
    this.#states.push({ tid, state });
  }

  async #call(x: number, isSlow: boolean): Promise<void> {
    const { cache, run } = this.#world;
    const asked = this.#functions[x % this.#functions.length]?.((x >> 3) % 5);
    assert(asked !== undefined, "there are functions");
    const { misses } = cache.stats();
    const now = this.#client.position.tid;
    const result = asked.call(`${isSlow ? "slow" : "fast"} ${this.#name}`);
    if (cache.stats().misses === misses) {
      this.found.hits++;
      // The hit must be what a computation would give now, at the client's position.
      expect(await result).toEqual(asked.says(this.#stateAt(now)));
      return;
    }
    this.found.misses++;
    if (isSlow) this.#open.push(result);
    else await run(result);
  }

  /** All commits are known now, and no kept result may be older. */
  async end(): Promise<void> {
    const { run } = this.#world;
    this.#pauses.isOver = true;
    for (const { open } of this.#pauses.waiting.splice(0)) open();
    await run(Promise.all(this.#open));
    for (const deliver of this.#late.splice(0)) deliver();
    this.#transport.takes = () => true;
    const last = this.#states.at(-1);
    await run(this.#client.read(() => 0, { serverSync: true }));
    for (let x = 0; x < 5; x++) {
      for (const made of this.#functions) {
        const asked = made(x);
        expect(await run(asked.call(`fast ${this.#name}`))).toEqual(asked.says(last?.state ?? new Map()));
      }
    }
  }

  #stateAt(position: number): State {
    return this.#states.findLast(({ tid }) => tid <= position)?.state ?? new Map();
  }
}

/** Cached functions of several shapes. Calls marked as slow wait in their middle. */
function functionsOf({ cache }: ObjectWorld, client: ObjectClient, pauses: Pauses): ((x: number) => Asked)[] {
  const pause = (of: string): Promise<void> | undefined => {
    if (!of.startsWith("slow") || pauses.isOver) return undefined;
    const held = gate();
    pauses.waiting.push(held);
    return held.promise;
  };
  const spaceOf = (of: string) => of.slice(of.indexOf(" ") + 1);
  const rowsOf = (rows: readonly (readonly [string, unknown])[], space: string) =>
    rows.map(([key, value]) => [key.slice(space.length), value]);
  const get = cache.cacheable(
    async (key: string, of: string) => {
      const value = await client.get(spaceOf(of) + key);
      await pause(of);
      return value;
    },
    { name: "get" },
  );
  const list = cache.cacheable(
    async (prefix: string, of: string) => {
      const space = spaceOf(of);
      const rows = await all(client.list(space + prefix));
      await pause(of);
      return rowsOf(rows, space);
    },
    { name: "list" },
  );
  const tx = cache.cacheable(
    async (key: string, prefix: string, of: string) => {
      const space = spaceOf(of);
      const { value } = await client.read(async (reader) => {
        const first = await reader.get(space + key);
        await pause(of);
        return [first, ...rowsOf(await all(reader.list(space + prefix)), space)];
      });
      return value;
    },
    { name: "picture" },
  );
  const outer = cache.cacheable(
    async (key: string, prefix: string, of: string) => {
      const first = await get(key, of);
      await pause(of);
      return [first, await list(prefix, of)];
    },
    { name: "outer" },
  );
  const sorted = (state: State, prefix: string) =>
    [...state].filter(([key]) => key.startsWith(prefix)).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const of = (x: number) => ({ key: keys[x % keys.length] ?? "a", prefix: prefixes[(x >> 2) % prefixes.length] ?? "" });
  return [
    (x) => ({ call: (how) => get(of(x).key, how), says: (state) => state.get(of(x).key) }),
    (x) => ({ call: (how) => list(of(x).prefix, how), says: (state) => sorted(state, of(x).prefix) }),
    (x) => ({
      call: (how) => tx(of(x).key, of(x).prefix, how),
      says: (state) => [state.get(of(x).key), ...sorted(state, of(x).prefix)],
    }),
    (x) => ({
      call: (how) => outer(of(x).key, of(x).prefix, how),
      says: (state) => [state.get(of(x).key), sorted(state, of(x).prefix)],
    }),
  ];
}

const steps = fc.array(fc.tuple(fc.nat(actions.length - 1), fc.nat(255)), { minLength: 10, maxLength: 60, size: "max" });
const runs = 300;

test(`a hit is what computing it now would give, with any commits, delays and computations meanwhile: ${runs} runs`, async () => {
  const world = await objectWorld();
  const through = await world.open("through");
  const pauses: Pauses = { waiting: [], isOver: false };
  const functions = functionsOf(world, through.client, pauses);
  const found = { hits: 0, misses: 0 };
  let number = 0;
  const property = fc.asyncProperty(steps, async (list) => {
    const run = new Run(world, through, functions, pauses, `${number++}:`);
    for (const [what, x] of list) await run.step(what, x);
    await run.end();
    found.hits += run.found.hits;
    found.misses += run.found.misses;
  });
  await fc.assert(property, { numRuns: runs, seed: 20_261_122 });
  assert(found.hits > 500 && found.misses > 1_000, `what is promised was tried: ${JSON.stringify(found)}`);
}, 120_000);
