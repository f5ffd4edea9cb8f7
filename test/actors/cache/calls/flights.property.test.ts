import { AsyncLocalStorage } from "node:async_hooks";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Cache } from "../../../../cache.js";
import type { ObjectClient } from "../../../../actors/client/object-client.js";
import { assert } from "../../../../core/index.js";
import type { TappedTransport } from "../../../support/tapped-transport.js";
import { type ObjectWorld, objectWorld } from "../objects/object-world.js";
import { type Gate, gate } from "../open.js";

/** The versions of the rows and objects that a result or an error was computed from. */
type Versions = ReadonlyMap<string, number>;

class Failed extends Error {
  readonly versions: Versions;

  constructor(versions: Versions) {
    super("the function failed");
    this.versions = versions;
  }
}

/** The application's own context: the number of the call. */
const calls = new AsyncLocalStorage<number>();

/**
 * Rows outside of any store, invalidated by tags, and the current behaviour of the functions. One model serves all
 * runs.
 */
class Model {
  readonly rows = new Map<string, number>();
  readonly failing = new Set<string>();
  readonly runs: string[] = [];
  waiting: Gate<void>[] = [];
  isOver = false;

  /** A point at which other work can happen. */
  async pause(): Promise<void> {
    if (this.isOver) return;
    const held = gate();
    this.waiting.push(held);
    await held.promise;
  }

  /** Notes that the function begins to run for the current call. Each call has at most one run. */
  begins(name: string, of: string): void {
    this.runs.push(`${name} of ${of} for call ${String(calls.getStore())}`);
  }
}

type Called = (of: string, signal?: AbortSignal) => Promise<Versions>;

/** Functions of two caches, nested up to three deep, that read rows and objects, fail, and are given up. */
function functionsOf(one: Cache, two: Cache, client: ObjectClient, model: Model): Readonly<Record<string, Called>> {
  const depsOf = (of: string) => [`rows:${of}`];
  const row = async (name: string, of: string, signal?: AbortSignal): Promise<Versions> => {
    model.begins(name, of);
    const version = model.rows.get(of) ?? 0;
    const versions = new Map([[`row ${of}`, version]]);
    const fails = model.failing.has(of);
    await model.pause();
    signal?.throwIfAborted();
    if (fails) throw new Failed(versions);
    return versions;
  };
  const object = async (name: string, of: string, isSlow: boolean): Promise<Versions> => {
    model.begins(name, of);
    const { value } = await client.read(async (tx) => {
      if (isSlow) await model.pause();
      return tx.get(of);
    });
    const versions = new Map([[`object ${of}`, Number(value ?? 0)]]);
    if (!isSlow) await model.pause();
    if (Number(value ?? 0) % 3 === 1) throw new Failed(versions);
    return versions;
  };
  const rows: Called = one.cacheable((of: string, signal?: AbortSignal) => row("rows", of, signal), {
    name: "rows",
    deps: depsOf,
    key: (of) => of,
    signal: (_of, signal) => signal,
  });
  const failures: Called = one.cacheable((of: string) => row("failures", of), { name: "failures", deps: depsOf, cacheErrors: true });
  const objects: Called = one.cacheable((of: string) => object("objects", of, true), { name: "objects", cacheErrors: true });
  const loads: Called = two.cacheable((of: string) => object("loads", of, false), { name: "loads" });
  const middle: Called = two.cacheable(
    async (of: string) => {
      model.begins("middle", of);
      const [first, second] = await Promise.all([rows(of), objects(of)]);
      return new Map([...first, ...second]);
    },
    { name: "middle", deps: depsOf },
  );
  const outer: Called = one.cacheable(
    async (of: string, signal?: AbortSignal) => {
      model.begins("outer", of);
      const found = await middle(of);
      await model.pause();
      signal?.throwIfAborted();
      return new Map([...found, ...(await loads(of))]);
    },
    { name: "outer", deps: depsOf, key: (of) => of, signal: (_of, signal) => signal },
  );
  const own: Called = (of) => two.getOrSet(`own ${of}`, () => row("own", of), { tags: depsOf(of) });
  return { rows, failures, objects, loads, middle, outer, own };
}

const names = ["rows", "failures", "objects", "loads", "middle", "outer", "own"] as const;
const actions =
  "call call call call call call call abortable abortable abort invalidate invalidate put own own fail open open open open hold deliver turn turn".split(
    " ",
  );

/** Counts over all runs. */
interface Found {
  results: number;
  failures: number;
  /** Calls that did not run their function themselves. */
  shared: number;
}

class Run {
  readonly #world: ObjectWorld;
  readonly #caches: readonly Cache[];
  readonly #client: ObjectClient;
  readonly #transport: TappedTransport;
  readonly #functions: Readonly<Record<string, Called>>;
  readonly #model: Model;
  readonly #found: Found;
  readonly #name: string;
  /** Versions of objects, by the transactions that wrote them. Acknowledged commits of the client itself are marked. */
  readonly #commits: { readonly tid: number; readonly of: string; readonly version: number; readonly isOwn: boolean }[] = [];
  readonly #open: Promise<void>[] = [];
  readonly #controllers: AbortController[] = [];
  readonly #late: (() => void)[] = [];
  #version = 0;
  #calls = 0;

  constructor(deps: {
    world: ObjectWorld;
    caches: readonly Cache[];
    client: ObjectClient;
    transport: TappedTransport;
    functions: Readonly<Record<string, Called>>;
    model: Model;
    found: Found;
    name: string;
  }) {
    this.#world = deps.world;
    this.#caches = deps.caches;
    this.#client = deps.client;
    this.#transport = deps.transport;
    this.#functions = deps.functions;
    this.#model = deps.model;
    this.#found = deps.found;
    this.#name = deps.name;
    this.#model.isOver = false;
    this.#model.runs.length = 0;
  }

  async step(what: number, x: number): Promise<void> {
    const { writer, run, clock } = this.#world;
    const of = `${this.#name}${x % 2}`;
    const model = this.#model;
    switch (actions[what]) {
      case "call":
        void this.#call(x, of);
        break;
      case "abortable": {
        const controller = new AbortController();
        this.#controllers.push(controller);
        void this.#call(x % 4 < 2 ? 0 : 5, of, controller.signal);
        break;
      }
      case "abort":
        this.#controllers.splice(x % Math.max(1, this.#controllers.length), 1)[0]?.abort(gaveUp);
        break;
      case "invalidate":
        this.#invalidate(of);
        break;
      case "put":
        await this.#committed(run(writer.put(of, ++this.#version)), of, false);
        break;
      case "own":
        await this.#committed(run(this.#client.put(of, ++this.#version)), of, true);
        break;
      case "fail":
        if (!model.failing.delete(of)) model.failing.add(of);
        break;
      case "open":
        model.waiting.splice(x % Math.max(1, model.waiting.length), 1)[0]?.open();
        break;
      case "hold":
        this.#transport.takes = (_message, deliver) => {
          this.#late.push(deliver);
          return false;
        };
        break;
      case "deliver":
        this.#deliver();
        break;
      default:
        await clock.advance(x % 2);
    }
  }

  /** Lets everything continue and delivers all messages; then no result may be older than the current state. */
  async end(): Promise<void> {
    const { run, writer } = this.#world;
    const model = this.#model;
    model.isOver = true;
    this.#deliver();
    for (const { open } of model.waiting.splice(0)) open();
    await run(Promise.all(this.#open));
    const counts = new Map<string, number>();
    for (const ran of model.runs) counts.set(ran, (counts.get(ran) ?? 0) + 1);
    expect([...counts].filter(([, count]) => count > 1)).toEqual([]);
    expect(model.runs.filter((ran) => ran.endsWith("undefined"))).toEqual([]);
    model.failing.clear();
    for (const ends of ["as it is", "after a commit"]) {
      for (const of of [`${this.#name}0`, `${this.#name}1`]) {
        // A version for which no function fails.
        this.#version += 3 - (this.#version % 3);
        if (ends === "after a commit") await this.#committed(run(writer.put(of, this.#version)), of, false);
        else this.#invalidate(of);
      }
      await run(this.#client.read(() => 0, { serverSync: true }));
      const asked = names.flatMap((_, index) => [this.#call(index, `${this.#name}0`), this.#call(index, `${this.#name}1`)]);
      await run(Promise.all(asked));
    }
  }

  #deliver(): void {
    this.#transport.takes = () => true;
    for (const deliver of this.#late.splice(0)) deliver();
  }

  #invalidate(of: string): void {
    this.#model.rows.set(of, ++this.#version);
    for (const cache of this.#caches) void cache.invalidate(`rows:${of}`);
  }

  async #committed(committing: Promise<number>, of: string, isOwn: boolean): Promise<void> {
    const version = this.#version;
    this.#commits.push({ tid: await committing, of, version, isOwn });
  }

  /** The lowest versions that a call beginning now may use. */
  #floors(of: string): Versions {
    const position = this.#client.position.tid;
    const known = this.#commits.filter((commit) => commit.of === of && (commit.isOwn || commit.tid <= position));
    const latest = known.toSorted((a, b) => a.tid - b.tid).at(-1);
    return new Map([
      [`row ${of}`, this.#model.rows.get(of) ?? 0],
      [`object ${of}`, latest?.version ?? 0],
    ]);
  }

  #call(x: number, of: string, signal?: AbortSignal): Promise<void> {
    const name = names[x % names.length] ?? "rows";
    const called = this.#functions[name];
    assert(called !== undefined, "there are functions");
    const floors = this.#floors(of);
    const call = ++this.#calls;
    const result = calls.run(call, () => called(of, signal));
    const checked = result.then(
      (versions) => {
        this.#found.results++;
        this.#check(name, call, versions, floors);
      },
      (error: unknown) => {
        if (error === gaveUp) return;
        if (!(error instanceof Failed)) throw error;
        this.#found.failures++;
        this.#check(name, call, error.versions, floors);
      },
    );
    // The promise is awaited at the end; an earlier rejection must not count as unhandled.
    checked.catch(() => undefined);
    this.#open.push(checked);
    return checked;
  }

  #check(name: string, call: number, versions: Versions, floors: Versions): void {
    if (!this.#model.runs.some((ran) => ran.startsWith(`${name} `) && ran.endsWith(` ${call}`))) this.#found.shared++;
    for (const [what, version] of versions) {
      const floor = floors.get(what) ?? 0;
      expect(version, `call ${call} of ${name}: version of ${what}`).toBeGreaterThanOrEqual(floor);
    }
  }
}

const gaveUp = new Error("gave up");
const steps = fc.array(fc.tuple(fc.nat(actions.length - 1), fc.nat(255)), { minLength: 10, maxLength: 60, size: "max" });
const runs = 200;
const seed = Number(process.env["ZOOID_TEST_SEED"] ?? Date.now() % 1_000_000_000);

test(`no call gets a result or an error that is older than the call, nor runs in the context of another call: ${runs} runs, ZOOID_TEST_SEED=${seed}`, async () => {
  const world = await objectWorld();
  const through = await world.open("through");
  const caches = [world.cache, await world.openCache()] as const;
  const model = new Model();
  const functions = functionsOf(...caches, through.client, model);
  const found: Found = { results: 0, failures: 0, shared: 0 };
  let number = 0;
  const property = fc.asyncProperty(steps, async (list) => {
    const run = new Run({ world, caches, ...through, functions, model, found, name: `${number++}_` });
    try {
      for (const [what, x] of list) await run.step(what, x);
    } finally {
      await run.end();
    }
  });
  await fc.assert(property, { numRuns: runs, seed });
  assert(found.results > 3_000 && found.failures > 300 && found.shared > 600, `what is promised was tried: ${JSON.stringify(found)}`);
}, 240_000);
