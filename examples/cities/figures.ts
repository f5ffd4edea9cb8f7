/** Figures of a country, as a cached function: the example's use of the semantic cache. */
import { type Cache, tag } from "../../cache.js";
import { type ObjectClient, tidToMs } from "../../index.js";
import type { CitySchema } from "./schema.js";

/** Figures of a country. Computing them costs as much as reading all its cities. */
export interface CountryFigures {
  readonly country: string;
  readonly cities: number;
  readonly northernmost: Extreme;
  readonly southernmost: Extreme;
  readonly meanLatitude: number;
  /** Cities with a note. */
  readonly noted: number;
  readonly asOf: { readonly tid: number; readonly time: string };
  /** When it was computed, in milliseconds since 1970, and for how long. */
  readonly computed: { readonly at: number; readonly ms: number };
}

interface Extreme {
  readonly name: string;
  readonly latitude: number;
}

/** Gives the figures of a country; undefined: it has no cities. */
export type FiguresOf = (country: string) => Promise<CountryFigures | undefined>;

/**
 * `figures("DE")`, computed once and kept until any process changes a city of that country. The cache notices which
 * cities the function reads. The tag lets people invalidate it by name on every node:
 * `zooid cache invalidate figures:DE`.
 */
export function cachedFigures(cache: Cache, store: ObjectClient<CitySchema>): FiguresOf {
  return cache.cacheable((country: string) => computeFigures(store, country), {
    name: "figures",
    deps: (country) => tag`figures:${country}`,
  });
}

async function computeFigures(store: ObjectClient<CitySchema>, country: string): Promise<CountryFigures | undefined> {
  const startMs = performance.now();
  let [cities, noted, latitudes] = [0, 0, 0];
  let northernmost: Extreme | undefined;
  let southernmost: Extreme | undefined;
  const { asOf } = await store.read(async (tx) => {
    for await (const [, { name, latitude, note }] of tx.list(`city/${country}/`)) {
      cities += 1;
      latitudes += latitude;
      if (note !== undefined) noted += 1;
      if (northernmost === undefined || latitude > northernmost.latitude) northernmost = { name, latitude };
      if (southernmost === undefined || latitude < southernmost.latitude) southernmost = { name, latitude };
    }
  });
  if (northernmost === undefined || southernmost === undefined) return undefined;
  return {
    country,
    cities,
    northernmost,
    southernmost,
    meanLatitude: latitudes / cities,
    noted,
    asOf: { tid: asOf, time: new Date(tidToMs(asOf)).toISOString() },
    computed: { at: performance.timeOrigin + startMs, ms: Math.round((performance.now() - startMs) * 1_000) / 1_000 },
  };
}
