import { describe, expect, test } from "vitest";
import { readCities } from "../../examples/cities/up/cities.js";
import { pathOf } from "../../examples/cities/up/service-link.js";
import { asKey } from "../../core/index.js";

const { rows } = readCities(Infinity);

describe("the cities of the world", () => {
  test("are 171,075, each under a key of its own", () => {
    expect(rows).toHaveLength(171_075);
    expect(new Set(rows.map(({ key }) => asKey(key))).size).toBe(171_075);
    expect(rows.filter(({ key }) => /~\d+$/.test(key))).toHaveLength(2_325);
  });

  test("have a name, a country and a place on the globe", () => {
    expect(rows[0]).toEqual({
      key: "city/AD/03/Vila",
      value: { name: "Vila", country: "AD", admin1: "03", latitude: 42.53176, longitude: 1.56654 },
      line: 1,
      bytes: expect.any(Number) as number,
    });
    expect(
      rows.every(({ value }) => typeof value === "object" && value !== null && "latitude" in value && Number.isFinite(value.latitude)),
    ).toBe(true);
  });

  test("have paths that need no quoting in a shell, and that decode to the key", () => {
    const wrong = rows.filter(({ key }) => !/^[\w/%.~-]+$/.test(pathOf(key)) || decodeURIComponent(pathOf(key)) !== `/${key}`);
    expect(wrong).toEqual([]);
  });
});
