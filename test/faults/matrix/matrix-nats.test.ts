import { describe, expect, test } from "vitest";
import { tiers, ways } from "./cell.js";
import { matrixTable, versionsNow } from "./report.js";
import { rows } from "./rows.js";
import { type CellResult, playRow } from "./run.js";

/**
 * One cut of each kind, and the other rows, each for a short time and in one way. `npm run matrix` plays all ways, for
 * longer.
 */
const played = [
  "the other node cut",
  "the invalidating node cut",
  "broker killed, its data kept",
  "broker killed and emptied",
  "own node invalidates during a computation",
  "the other node invalidates during a computation",
  "the other node's clock 2 h behind",
  "the invalidating node cut, and killed before it is connected again",
];

/** Some twenty processes start. That alone takes half a minute on two busy cores. */
const timeout = 90_000;

describe("nodes as processes", { concurrent: true, timeout }, () => {
  test.for(played.map((title, index) => ({ title, way: ways[index % ways.length] ?? "tag" })))(
    "are right afterwards: $title, by $way",
    async ({ title, way }, { expect }) => {
      const row = rows.find((each) => each.title === title);
      if (row === undefined) throw new TypeError(`there is a row ${title}`);
      const results = await playRow(row, 1, { rows, runs: 1, cutMs: 500, jobs: 1, ways: [way] });
      expect(results.map(({ tier }) => tier)).toEqual(row.tiers ?? tiers);
      expect(results.flatMap(({ tier, wrongs, story }) => wrongs.map((wrong) => `${tier}: ${wrong}\n${story}`))).toEqual([]);
    },
  );
});

test("the report names the versions that ran", () => {
  const version = expect.stringMatching(/^\d+\.\d+\.\d+/) as string;
  expect(versionsNow()).toMatchObject({ zooid: version, node: process.versions.node, natsServer: version });
});

test("the table counts the right runs of each cell", () => {
  const right: CellResult = {
    row: "a cut",
    isCut: true,
    run: 1,
    tier: "memory",
    way: "key",
    wrongs: [],
    story: "",
    callMsMax: 1,
    staleMsMax: 2,
    settledMsMax: 3,
  };
  const results = [
    right,
    { ...right, run: 2, wrongs: ["stale"] },
    { ...right, way: "tag" as const },
    { ...right, tier: "memory + LMDB" as const, row: "another" },
  ];
  expect(matrixTable(results).split("\n")).toEqual([
    "|         | memory: key, tag, parent | memory + LMDB: key, tag, parent |",
    "| ------- | ------------------------ | ------------------------------- |",
    "| a cut   | 1/2, 1/1, –              | not promised                    |",
    "| another | not promised             | 1/1, –, –                       |",
  ]);
});
