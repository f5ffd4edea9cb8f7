import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { cacheSettings } from "../actors/cache/options.js";
import { clientBounds } from "../actors/client/options.js";
import { checkServerOptions } from "../actors/server/options.js";
import { SimulatedClock } from "../testing/simulated-clock.js";
import { routeRules } from "../fastify/route-rules.js";
import { limits, seededRandom, silentLog } from "../core/index.js";
import { createBroker } from "../transport/in-process.js";
import { root } from "./support/source.js";

/** Files, their interfaces of options, and the defaults that the code takes for them. */
const faces: readonly (readonly [string, string, Readonly<Record<string, unknown>>])[] = [
  ["actors/cache/options.ts", "CacheOptions", { ...cacheSettings({}) }],
  ["actors/cache/cacheable-options.ts", "CacheableOptions", {}],
  ["fastify/route-rules.ts", "RouteCaching", { ...routeRules({}) }],
  ["actors/client/options.ts", "ClientOptions", clientBounds({})],
  ["actors/server/options.ts", "StorageServerOptions", { ...serverDefaults() }],
  ["actors/server/options.ts", "StorageOptions", limits],
];

/** Options without a bound of their own, and the option or resource that bounds them. */
const boundElsewhere: Readonly<Record<string, string>> = {
  "CacheOptions.defaultTtl": "maxBytes",
  "CacheOptions.maxEntries": "maxBytes in memory, folderEntriesMax in a folder",
  "CacheOptions.bucketMaxBytes": "the broker's own limit, and the age of results in a bucket",
  "CacheableOptions.maxEntries": "the cache's maxBytes",
  "CacheableOptions.maxBytes": "the cache's maxBytes",
  "CacheableOptions.ttl": "the cache's maxBytes",
  "RouteCaching.ttl": "maxBytes",
  // Committed data belongs to the user; it is removed only on the user's request.
  "StorageOptions.historyAgeMs": "the disk",
};

const unbounded = /no bound|infinity|unlimited|as many as|they are kept|they have none|what the broker allows|the cache's own|defaultTtl/i;
const bound = /^max(?!Stale)|Max$|Size$|Bytes$|Entries$/;

interface Option {
  readonly name: string;
  readonly text: string;
}

/** The options of an interface, each with its docstring. */
function optionsOf(file: string, name: string): readonly Option[] {
  const source = readFileSync(join(root, file), "utf8");
  const body = new RegExp(`export interface ${name}\\b[^]*?\\n}\\n`).exec(source)?.[0] ?? expect.fail(`${file} has no ${name}`);
  return Array.from(body.matchAll(/(\/\*\*(?:[^*]|\*(?!\/))*\*\/\s*)?readonly (\w+)\??:/g), ([, text = "", option = ""]) => ({
    name: option,
    text,
  }));
}

describe.each(faces)("the options in %s, %s", (file, face, defaults) => {
  const options = optionsOf(file, face);

  test("each option that is an amount has a finite default", () => {
    expect(options.length).toBeGreaterThan(5);
    for (const { name } of options) {
      if (!bound.test(name) || `${face}.${name}` in boundElsewhere) continue;
      expect(defaults[name], name).toSatisfy((value) => Number.isFinite(value) && Number(value) > 0);
    }
  });

  test("no option is unbounded by default, except where another option bounds the same thing", () => {
    for (const { name, text } of options) {
      const byDefault = /Default: ([^]*?)\*\//.exec(text)?.[1] ?? (/undefined: ([^.]*)\./.exec(text)?.[1] || "");
      const isUnbounded = unbounded.test(byDefault) && !/\d/.test(byDefault.replaceAll(/in a folder/g, ""));
      if (isUnbounded) expect(boundElsewhere, `${face}.${name}: ${byDefault}`).toHaveProperty([`${face}.${name}`]);
    }
  });
});

test("every limit is a finite number above 0", () => {
  for (const [name, value] of Object.entries(limits)) expect(value, name).toSatisfy((each) => Number.isFinite(each) && Number(each) > 0);
});

test("an option that bounds another one exists", () => {
  const all = faces.flatMap(([file, face]) => optionsOf(file, face).map(({ name }) => `${face}.${name}`));
  for (const name of Object.keys(boundElsewhere)) expect(all).toContain(name);
});

test("a cache keeps 64 MiB in memory and 1 GiB in a folder, and Infinity lifts the bounds", () => {
  expect(cacheSettings({})).toMatchObject({ maxBytes: 64 * 1024 * 1024, lmdbMapSize: 1024 * 1024 * 1024, autoPruneMs: 60_000 });
  const lifted = { maxBytes: Infinity, maxEntries: Infinity, lmdbMapSize: Infinity };
  expect(cacheSettings(lifted)).toMatchObject(lifted);
});

function serverDefaults() {
  const seams = { clock: new SimulatedClock(), random: seededRandom(1), log: silentLog };
  const open = () => expect.fail("nothing is opened");
  const transport = createBroker().connect();
  return (
    checkServerOptions({ realm: "r", storages: { main: { open } }, transport, ...seams }).get("main") ?? expect.fail("the storage is there")
  );
}
