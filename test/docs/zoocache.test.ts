import { describe, expect, test } from "vitest";
import { cacheOptionNames, cacheSettings } from "../../actors/cache/options.js";
import { cacheableOptionNames } from "../../actors/cache/cacheable-options.js";
import * as cache from "../../cache.js";
import { Output } from "../../cli/output.js";
import { createProgram } from "../../cli/program.js";
import * as fastify from "../../fastify.js";
import * as metrics from "../../prometheus.js";
import { configureOptions, features } from "../../scripts/zoocache.js";

/** Their names for options that have another meaning here, or that we do not have. */
const renamed = new Set(["prune_after", "channel_capacity", "batch_size", "lru_cache_size", "telemetry"]);

/** Options without a bound there and with a bound here. */
const bounded = new Set(["lmdb_map_size", "auto_prune_secs"]);

const camelCase = (name: string) => name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

describe("the comparison with ZooCache", () => {
  const settings = cacheSettings({});
  const ms = (value: number | undefined) => (value === undefined ? "None" : String(value / 1_000));
  /** Our defaults, written as in the documentation of ZooCache. */
  const defaults: Readonly<Record<string, string>> = {
    storage_url: settings.storage.type === "memory" ? "None" : settings.storage.type,
    bus_url: settings.maxStaleMs === Infinity ? "None" : "another",
    default_ttl: ms(settings.defaultTtlMs),
    read_extend_ttl: settings.readExtendTtl ? "True" : "False",
    max_entries: settings.maxEntries === undefined ? "None" : String(settings.maxEntries),
    lmdb_map_size: settings.lmdbMapSize === undefined ? "None" : String(settings.lmdbMapSize),
    flight_timeout: ms(settings.flightTimeoutMs),
    tti_flush_secs: ms(settings.ttiFlushMs),
    auto_prune_secs: ms(settings.autoPruneMs),
    auto_prune_interval: ms(settings.autoPruneIntervalMs),
    lru_update_interval: ms(settings.lruUpdateIntervalMs),
  };

  const same = configureOptions.filter(({ theirs }) => !renamed.has(theirs));

  test.each(same)("$theirs has the same name here, in camelCase", ({ theirs, ours }) => {
    expect(ours).toEqual([camelCase(theirs)]);
    expect(cacheOptionNames).toContain(camelCase(theirs));
  });

  test.each(same.filter(({ theirs }) => theirs !== "prefix" && !bounded.has(theirs)))(
    "$theirs has the default $theirDefault here too",
    ({ theirs, theirDefault }) => {
      expect(defaults[theirs]).toBe(theirDefault);
    },
  );

  test("every name that the comparison gives for a feature of ZooCache exists", () => {
    const program = createProgram({
      out: new Output(process.stdout, () => undefined),
      say: () => undefined,
      signal: new AbortController().signal,
    });
    const known = new Set<string>([
      ...cacheOptionNames,
      ...cacheableOptionNames,
      ...Object.keys(cache),
      ...Object.keys(metrics),
      ...Object.keys(fastify),
      ...program.commands.map((command) => `zooid ${command.name()}`),
    ]);
    const named = [...configureOptions, ...features].flatMap(({ ours }) => ours);
    expect(named.filter((name) => !known.has(name))).toEqual([]);
  });
});
