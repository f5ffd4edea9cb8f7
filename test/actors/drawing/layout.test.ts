import { describe, expect, test } from "vitest";
import { describeMachine } from "../../../actors/drawing/description.js";
import { layOut } from "../../../actors/drawing/layout.js";
import { machines } from "../../../machines/index.js";
import { faultsOf, struckTextsOf } from "./geometry.js";
import { generatedMachine, largeMachine } from "./generated-machine.js";

const widthMax = 900;
/** A run for longer: `DRAWN_MACHINES=5000 npx vitest run test/actors/drawing/layout.test.ts`. */
const generated = Number(process.env["DRAWN_MACHINES"] ?? 200);

describe("the layout of a machine", () => {
  test.each(Object.entries(machines))("has no overlaps, fits into 900 pixels and is the same each time: %s", async (_, machine) => {
    const description = describeMachine(machine);
    const layout = await layOut(description, widthMax);
    expect([...faultsOf(layout), ...struckTextsOf(layout)]).toEqual([]);
    expect(layout.width).toBeLessThanOrEqual(widthMax);
    expect(await layOut(description, widthMax)).toEqual(layout);
  });

  test(`has no overlaps for ${generated} generated machines`, { timeout: generated * 1_000 }, async () => {
    for (let seed = 1; seed <= generated; seed++) {
      const layout = await layOut(generatedMachine(seed), seed % 2 === 0 ? widthMax : Infinity);
      expect([seed, faultsOf(layout)]).toEqual([seed, []]);
    }
  });

  test.each([1, 2])("has no overlaps for a machine with 240 states and 500 transitions: %i", { timeout: 60_000 }, async (seed) => {
    expect(faultsOf(await layOut(largeMachine(seed), widthMax))).toEqual([]);
  });
});
