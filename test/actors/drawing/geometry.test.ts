import { beforeAll, expect, test } from "vitest";
import { layOut, type Layout } from "../../../actors/drawing/layout.js";
import type { MachineDescription } from "../../../actors/drawing/description.js";
import { faultsOf } from "./geometry.js";

const machine: MachineDescription = {
  id: "pair",
  type: "compound",
  initial: "first",
  states: {
    first: { type: "atomic", transitions: [{ on: "NEXT", actions: ["note"], target: ["second"] }] },
    second: { type: "atomic", transitions: [{ on: "BACK", target: ["first"] }] },
    third: { type: "atomic" },
  },
};
let layout: Layout;

beforeAll(async () => {
  layout = await layOut(machine, 900);
});

const first = () => layout.boxes.find(({ id }) => id === "first")!;
const withBox = (id: string, change: object): Layout => ({
  ...layout,
  boxes: layout.boxes.map((box) => (box.id === id ? { ...box, ...change } : box)),
});
const withLabels = (at: object): Layout => ({
  ...layout,
  arrows: layout.arrows.map((arrow) => (arrow.label === undefined ? arrow : { ...arrow, label: { ...arrow.label, ...at } })),
});

test("a good layout has no faults", () => {
  expect(faultsOf(layout)).toEqual([]);
});

test.each([
  ["two labels at one place", () => withLabels({ x: 0, y: 0 }), "overlaps label"],
  ["a label over a state", () => withLabels({ x: first().x, y: first().y }), "overlaps state first"],
  ["a state over another one", () => withBox("third", { x: first().x, y: first().y }), "state first overlaps third"],
  ["a state outside of its parent", () => withBox("third", { x: layout.width }), "state third leaves root"],
  ["a label outside of the picture", () => withLabels({ x: -20 }), "leaves the picture"],
  [
    "an arrow through a state",
    () => withBox("third", { x: 0, y: 0, width: layout.width, height: layout.height }),
    "goes through state third",
  ],
  ["an arrow that ends elsewhere", () => withBox("first", { y: first().y + 5 }), "does not end at its state"],
])("%s is a fault", (_, layoutOf, sentence) => {
  expect(faultsOf(layoutOf()).join("\n")).toContain(sentence);
});
