import ELK from "elkjs/lib/elk.bundled.js";
import type { ElkNode } from "elkjs/lib/elk-api.js";
import { describe, expect, test } from "vitest";

const elk = new ELK.default();
const minimum = { "elk.nodeSize.constraints": "MINIMUM_SIZE", "elk.nodeSize.minimum": "(300,200)" };
const allLevels = { "elk.algorithm": "layered", "elk.hierarchyHandling": "INCLUDE_CHILDREN", "elk.direction": "DOWN" };
const leaf: ElkNode = { id: "leaf", width: 40, height: 20 };

describe("elkjs", () => {
  test("the minimum size of a node with children is transposed where the direction is DOWN", async () => {
    const children = [
      { id: "holder", children: [leaf], layoutOptions: minimum },
      { id: "alone", width: 0, height: 0, layoutOptions: minimum },
    ];
    const [holder, alone] = (await elk.layout<ElkNode>({ id: "graph", children }, { layoutOptions: allLevels })).children ?? [];
    expect([holder?.width, holder?.height, alone?.width, alone?.height]).toEqual([200, 300, 300, 200]);
  });

  test("an option of a graph holds for its own level, and one given to layout for every level", async () => {
    const pair = () => [
      { id: "one", width: 10, height: 10 },
      { id: "two", width: 10, height: 10 },
    ];
    const graph = (): ElkNode => ({
      id: "graph",
      children: [{ id: "holder", children: pair(), edges: [{ id: "inner", sources: ["one"], targets: ["two"] }] }],
    });
    const spacing = { "elk.layered.spacing.nodeNodeBetweenLayers": "90" };
    const heightOf = async (inGraph: object, inLayout: object) => {
      const { children = [] } = await elk.layout<ElkNode>(
        { ...graph(), layoutOptions: { ...inGraph } },
        { layoutOptions: { ...allLevels, ...inLayout } },
      );
      return children[0]?.height;
    };
    expect(await heightOf({}, {})).toBe(await heightOf(spacing, {}));
    expect(await heightOf({}, spacing)).toBeGreaterThan(90);
  });
});
