/** Metrics of the semantic cache for Prometheus, by `prom-client`: ZooCache's names, and ours. */
import { Counter, Gauge, Histogram, register as defaultRegister, type Registry } from "prom-client";
import type { Cache, CacheStats } from "../cache.js";
import { InvalidOptionError, NotConfiguredError } from "../core/index.js";

/** A cache to measure, or the module `zooid/cache` itself. */
export type Measured = Pick<Cache, "stats" | "observe">;

/** Where metrics are registered, and under which names. */
export interface CacheMetricsOptions {
  /** Default: the global registry of `prom-client`. */
  readonly register?: Registry;
  /** Prefix of Zooid's metrics. Default: `zooid_`. */
  readonly prefix?: string;
  /** Prefix of the metrics of ZooCache; false leaves them out. Default: `zoocache_`. */
  readonly zoocachePrefix?: string | false;
  /** Labels that distinguish several caches in one registry. All these caches must use the same label names. */
  readonly labels?: Readonly<Record<string, string>>;
  /**
   * Times each look-up for `zoocache_cache_get_duration_seconds`, which costs more than the look-up. Default: false.
   */
  readonly timesLookUps?: boolean;
}

/** One value of a metric, with the labels that distinguish it from the others. */
type Sample = readonly [value: number | undefined, labels?: Readonly<Record<string, string>>];

/** A metric whose values are read from a cache at each scrape. */
interface Read {
  readonly type: "counter" | "gauge";
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly string[];
  readonly samples: (stats: CacheStats) => readonly Sample[];
}

const counter = (name: string, help: string, read: (stats: CacheStats) => number | undefined): Read => ({
  type: "counter",
  name,
  help,
  samples: (stats) => [[read(stats)]],
});
const gauge = (name: string, help: string, read: (stats: CacheStats) => number | undefined): Read => ({
  ...counter(name, help, read),
  type: "gauge",
});

/** One sample for each tier that there is. */
const byTier = (type: Read["type"], name: string, help: string, of: "entries" | "bytes" | "evictions"): Read => ({
  type,
  name,
  help,
  labels: ["tier"],
  samples: (stats) => [
    [stats[of], { tier: "memory" }],
    [stats.disk?.[of], { tier: "lmdb" }],
  ],
});

const ours: readonly Read[] = [
  counter("cache_hits_total", "Calls that were answered from a result in this process.", ({ hits }) => hits),
  counter("cache_misses_total", "Calls that were not.", ({ misses }) => misses),
  counter("cache_bucket_hits_total", "Results that were found in the bucket that nodes share.", ({ bucketHits }) => bucketHits),
  counter(
    "cache_bucket_failures_total",
    "Requests to the bucket that failed, or were left out as too many.",
    ({ bucketFailures }) => bucketFailures,
  ),
  counter("cache_computations_total", "Runs of cached functions.", ({ computations }) => computations),
  counter("cache_computation_failures_total", "Runs of cached functions that failed.", ({ failures }) => failures),
  counter("cache_joined_calls_total", "Calls that waited for the computation of another.", ({ joined }) => joined),
  counter(
    "cache_flight_timeouts_total",
    "Computations that other calls stopped waiting for after flightTimeout.",
    ({ timeouts }) => timeouts,
  ),
  counter("cache_keep_failures_total", "Results that could not be kept.", ({ keepFailures }) => keepFailures),
  byTier("counter", "cache_evictions_total", "Results that made room for others.", "evictions"),
  counter(
    "cache_invalidations_sent_total",
    "Invalidations of this node: by tag, set, delete and clear.",
    ({ invalidations }) => invalidations,
  ),
  counter("cache_invalidations_heard_total", "Invalidations that came from other nodes.", ({ heard }) => heard),
  counter(
    "cache_invalidations_queued_total",
    "Invalidations of this node that were not published within publishTimeout.",
    ({ queued }) => queued,
  ),
  counter("cache_outbox_overflows_total", "Times a full outbox became one invalidation of everything.", ({ overflows }) => overflows),
  counter(
    "cache_resets_total",
    "Times all that was kept became stale: another history, or a gap that could not be filled.",
    ({ resets }) => resets,
  ),
  counter("cache_cuts_total", "Times the bus was lost.", ({ cuts }) => cuts),
  gauge("cache_flights", "Computations under way that other calls may join.", ({ flights }) => flights),
  gauge("cache_outbox_size", "Invalidations of this node that the bus has not acknowledged.", ({ outbox }) => outbox),
  byTier("gauge", "cache_entries", "Results that are kept.", "entries"),
  byTier("gauge", "cache_bytes", "Bytes that kept results take, roughly; 0 in memory where no bound is set.", "bytes"),
  gauge("cache_tags", "Tags that have versions of their own here.", ({ tags }) => tags),
  gauge("cache_in_touch", "1 while kept results may be served, 0 while this node does not know all invalidations.", ({ isInTouch }) =>
    Number(isInTouch),
  ),
  gauge("cache_bus_heard_seconds", "Seconds since the bus last proved that no invalidation is missing; absent before.", ({ busHeardMs }) =>
    busHeardMs === undefined || busHeardMs === Infinity ? undefined : busHeardMs / 1_000,
  ),
  {
    type: "gauge",
    name: "cache_bus_state",
    help: "1 for the state that the bus is in, 0 for the others; absent without a bus.",
    labels: ["state"],
    samples: ({ bus }) =>
      bus === undefined ? [] : ["following", "catchingUp", "cut"].map((state): Sample => [Number(bus.type === state), { state }]),
  },
];

const zoocaches: readonly Read[] = [
  counter("cache_hits_total", "Calls that were answered from a result in this process.", ({ hits }) => hits),
  counter("cache_misses_total", "Calls that were not.", ({ misses }) => misses),
  {
    type: "counter",
    name: "cache_errors_total",
    help: "Runs of cached functions that failed.",
    labels: ["error_type"],
    samples: ({ failures }) => [[failures, { error_type: "exception" }]],
  },
  counter(
    "cache_invalidations_total",
    "Invalidations of this node; without the tags, which have no bound.",
    ({ invalidations }) => invalidations,
  ),
  counter(
    "singleflight_timeouts_total",
    "Computations that other calls stopped waiting for after flightTimeout.",
    ({ timeouts }) => timeouts,
  ),
  counter("cache_tti_overflows_total", "Always 0: no reading that extends a time to live is dropped.", () => 0),
  counter(
    "cache_silent_errors_total",
    "Failures that no caller got: results that could not be kept, invalidations not published in time.",
    ({ keepFailures, queued }) => keepFailures + queued,
  ),
];

/** Bounds of ZooCache's histograms, in seconds. */
const zoocacheBuckets = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];
const computationBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** The metrics of one registry under one pair of prefixes. */
interface Registered {
  readonly labelNames: readonly string[];
  /** Caches with their labels. */
  readonly sources: Map<Measured, Readonly<Record<string, string>>>;
  readonly computed: Histogram;
  readonly kept: Histogram | undefined;
  readonly lookedUp: Histogram | undefined;
  readonly names: readonly string[];
}

const registries = new WeakMap<Registry, Map<string, Registered>>();

/**
 * Registers the metrics of `cache`. Values are read at each scrape; only durations are counted as they happen. The
 * returned function ends it. Throws NotConfiguredError, and InvalidOptionError when a registered cache has the same
 * `labels`.
 */
export function cacheMetrics(cache: Measured, options: CacheMetricsOptions = {}): () => void {
  const { register = defaultRegister, prefix = "zooid_", zoocachePrefix = "zoocache_", labels = {}, timesLookUps = false } = options;
  const known = registries.get(register) ?? new Map<string, Registered>();
  registries.set(register, known);
  checkLabelNames(Object.keys(labels));
  // A module that is not configured throws here, before anything is registered for it.
  cache.stats();
  const names = `${prefix} ${String(zoocachePrefix)}`;
  const registered = known.get(names) ?? create(register, prefix, zoocachePrefix, Object.keys(labels));
  checkLabels(registered, cache, labels);
  known.set(names, registered);
  registered.sources.set(cache, labels);
  const { computed, kept, lookedUp } = registered;
  const stop = cache.observe({
    computed: (durationMs) => {
      computed.observe(labels, durationMs / 1_000);
    },
    ...(kept === undefined ? {} : { kept: (durationMs: number) => kept.observe(labels, durationMs / 1_000) }),
    ...(lookedUp === undefined || !timesLookUps ? {} : { lookedUp: (durationMs: number) => lookedUp.observe(labels, durationMs / 1_000) }),
  });
  return () => {
    stop();
    registered.sources.delete(cache);
    for (const histogram of [computed, kept, lookedUp]) histogram?.remove(labels);
    if (registered.sources.size > 0) return;
    known.delete(names);
    for (const name of registered.names) register.removeSingleMetric(name);
  };
}

function create(register: Registry, prefix: string, zoocachePrefix: string | false, labelNames: readonly string[]): Registered {
  const sources: Registered["sources"] = new Map();
  const names: string[] = [];
  const histogram = (name: string, help: string, buckets: number[]): Histogram => {
    names.push(name);
    const made = new Histogram({ name, help, buckets, labelNames: [...labelNames], registers: [] });
    register.registerMetric(made);
    return made;
  };
  const read = (start: string, reads: readonly Read[]): void => {
    for (const each of reads) {
      names.push(start + each.name);
      registerRead(register, start, each, sources, labelNames);
    }
  };
  try {
    read(prefix, ours);
    const computed = histogram(`${prefix}cache_computation_duration_seconds`, "How long cached functions ran.", computationBuckets);
    if (zoocachePrefix === false) return { labelNames, sources, computed, kept: undefined, lookedUp: undefined, names };
    read(zoocachePrefix, zoocaches);
    const kept = histogram(`${zoocachePrefix}cache_set_duration_seconds`, "How long it took to keep a result.", zoocacheBuckets);
    const lookedUp = histogram(
      `${zoocachePrefix}cache_get_duration_seconds`,
      "How long it took to look whether a result is kept; counted with timesLookUps.",
      zoocacheBuckets,
    );
    return { labelNames, sources, computed, kept, lookedUp, names };
  } catch (error) {
    // The name of the last one was taken by another metric.
    for (const name of names.slice(0, -1)) register.removeSingleMetric(name);
    throw error;
  }
}

function registerRead(register: Registry, start: string, each: Read, sources: Registered["sources"], labelNames: readonly string[]): void {
  const settings = { name: start + each.name, help: each.help, labelNames: [...labelNames, ...(each.labels ?? [])], registers: [] };
  const samples = () =>
    [...sources].flatMap(([cache, own]) =>
      samplesOf(each, cache).flatMap(([value, labels]) => (value === undefined ? [] : [{ value, labels: { ...own, ...labels } }])),
    );
  const metric =
    each.type === "gauge"
      ? new Gauge({
          ...settings,
          collect() {
            this.reset();
            // Without labels a reset would leave a value of 0, which no cache has.
            this.remove({});
            for (const { value, labels } of samples()) this.set(labels, value);
          },
        })
      : new Counter({
          ...settings,
          // The cache counts. The counter copies its count.
          collect() {
            this.reset();
            for (const { value, labels } of samples()) this.inc(labels, value);
          },
        });
  register.registerMetric(metric);
}

/** Undefined while the module's cache is not configured: a closed cache must not end the metrics of the others. */
function samplesOf(each: Read, cache: Measured): readonly Sample[] {
  try {
    return each.samples(cache.stats());
  } catch (error) {
    if (error instanceof NotConfiguredError) return [];
    throw error;
  }
}

const ownLabels: ReadonlySet<string> = new Set(["tier", "state", "error_type", "le"]);

function refusedLabels(reason: string): InvalidOptionError {
  return new InvalidOptionError({ option: "labels", reason });
}

function checkLabelNames(names: readonly string[]): void {
  for (const name of names) {
    if (!/^[A-Za-z_]\w*$/.test(name) || name.startsWith("__") || ownLabels.has(name))
      throw refusedLabels(`has ${JSON.stringify(name)}, which is no name of a label, or is one of ours`);
  }
}

/** Throws InvalidOptionError when the labels do not distinguish the cache in its registry. */
function checkLabels({ labelNames, sources }: Registered, cache: Measured, labels: Readonly<Record<string, string>>): void {
  const names = Object.keys(labels);
  if (names.length !== labelNames.length || !labelNames.every((name) => name in labels))
    throw refusedLabels(`has other names than those of the caches in this registry: ${labelNames.join(", ") || "none"}`);
  if (sources.has(cache)) throw new InvalidOptionError({ option: "cache", reason: "is in this registry already" });
  for (const others of sources.values()) {
    if (names.every((name) => others[name] === labels[name])) throw refusedLabels("is the same as that of another cache in this registry");
  }
}
