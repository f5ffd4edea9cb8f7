import type { Layout, PlacedArrow, PlacedBox } from "../../../actors/drawing/layout.js";
import type { Point, Rectangle } from "../../../actors/drawing/rectangle.js";

/** Rounding of coordinates. */
const tolerancePx = 0.5;

/** The faults of a drawing, a sentence each: what overlaps, what leaves the picture, and arrows through states. */
export function faultsOf(layout: Layout): readonly string[] {
  const { boxes, arrows } = layout;
  const labels = arrows.flatMap(({ from, to, label }) =>
    label === undefined ? [] : [{ name: `label ${from || "root"} → ${to}`, ...label }],
  );
  const leaves = boxes.filter(({ hasInner }) => !hasInner);
  return [
    ...labels.flatMap((one, index) =>
      labels.slice(index + 1).flatMap((other) => faultIf(overlap(one, other), `${one.name} overlaps ${other.name}`)),
    ),
    ...labels.flatMap((label) => leaves.flatMap((box) => faultIf(overlap(label, box), `${label.name} overlaps state ${box.id}`))),
    ...boxes
      .filter(({ hasInner }) => hasInner)
      .flatMap((box) => [
        ...labels.flatMap((label) => faultIf(overlap(label, box.texts), `${label.name} overlaps texts of ${box.id || "root"}`)),
        ...leaves.flatMap((leaf) => faultIf(overlap(leaf, box.texts), `state ${leaf.id} overlaps texts of ${box.id || "root"}`)),
      ]),
    ...boxes.flatMap((box) => faultIf(!holds(box, box.texts), `texts leave state ${box.id || "root"}`)),
    ...leaves.flatMap((one, index) =>
      leaves.slice(index + 1).flatMap((other) => faultIf(overlap(one, other), `state ${one.id} overlaps ${other.id}`)),
    ),
    ...boxes.flatMap((inner) =>
      outerOf(inner, boxes).flatMap((outer) => faultIf(!holds(outer, inner), `state ${inner.id} leaves ${outer.id || "root"}`)),
    ),
    ...[...labels, ...boxes].flatMap((each) =>
      faultIf(!holds({ x: 0, y: 0, ...sizeOf(layout) }, each), `${"name" in each ? each.name : ""} leaves the picture`),
    ),
    ...labels.flatMap((label) =>
      arrows
        .filter(({ points }) => segmentsOf(points).some(([a, b]) => crosses(a, b, label)))
        .map((arrow) => `${nameOf(arrow)} goes through ${label.name}`),
    ),
    ...arrows.flatMap((arrow) => arrowFaults(arrow, boxes)),
  ];
}

/** Arrows through texts of outer states. They stay readable, but a drawing without them is better. */
export function struckTextsOf({ boxes, arrows }: Layout): readonly string[] {
  return boxes
    .filter(({ hasInner }) => hasInner)
    .flatMap(({ id, texts }) =>
      arrows
        .filter(({ points }) => segmentsOf(points).some(([a, b]) => crosses(a, b, texts)))
        .map((arrow) => `${nameOf(arrow)} goes through texts of ${id || "root"}`),
    );
}

function nameOf({ from, to }: PlacedArrow): string {
  return `arrow ${from || "root"} → ${to}`;
}

function segmentsOf(points: readonly Point[]): readonly (readonly [Point, Point])[] {
  return points.slice(1).map((point, index) => [points[index] ?? point, point] as const);
}

function arrowFaults(arrow: PlacedArrow, boxes: readonly PlacedBox[]): readonly string[] {
  const { from, to, points } = arrow;
  const name = nameOf(arrow);
  const segments = segmentsOf(points);
  const crossed = boxes.filter((box) => !belongs(box, from) && !belongs(box, to) && segments.some(([a, b]) => crosses(a, b, box)));
  const target = boxes.find(({ id }) => id === to);
  const end = points.at(-1);
  return [
    ...crossed.map(({ id }) => `${name} goes through state ${id}`),
    ...segments.flatMap(([a, b]) => faultIf(Math.abs(a.x - b.x) > tolerancePx && Math.abs(a.y - b.y) > tolerancePx, `${name} is slanted`)),
    ...faultIf(target === undefined || end === undefined || !isOnBorder(end, target), `${name} does not end at its state`),
  ];
}

/** Whether an arrow from or to `id` may cross `box`: the state itself, one that holds it, or one inside it. */
function belongs(box: PlacedBox, id: string): boolean {
  return box.id === id || box.id === "" || id === "" || id.startsWith(`${box.id}.`) || box.id.startsWith(`${id}.`);
}

function outerOf(inner: PlacedBox, boxes: readonly PlacedBox[]): readonly PlacedBox[] {
  return boxes.filter((outer) => outer.id !== inner.id && (outer.id === "" || inner.id.startsWith(`${outer.id}.`)));
}

function sizeOf({ width, height }: Layout): { readonly width: number; readonly height: number } {
  return { width, height };
}

function overlap(one: Rectangle, other: Rectangle): boolean {
  const across = Math.min(one.x + one.width, other.x + other.width) - Math.max(one.x, other.x);
  const down = Math.min(one.y + one.height, other.y + other.height) - Math.max(one.y, other.y);
  return across > tolerancePx && down > tolerancePx;
}

function holds(outer: Rectangle, inner: Rectangle): boolean {
  const right = inner.x + inner.width <= outer.x + outer.width + tolerancePx;
  const bottom = inner.y + inner.height <= outer.y + outer.height + tolerancePx;
  return inner.x >= outer.x - tolerancePx && inner.y >= outer.y - tolerancePx && right && bottom;
}

/** Whether a vertical or horizontal line goes through the inside of `box`. */
function crosses(a: Point, b: Point, box: Rectangle): boolean {
  const line = { x: Math.min(a.x, b.x), y: Math.min(a.y, b.y), width: Math.abs(a.x - b.x), height: Math.abs(a.y - b.y) };
  const across = Math.min(line.x + line.width, box.x + box.width) - Math.max(line.x, box.x);
  const down = Math.min(line.y + line.height, box.y + box.height) - Math.max(line.y, box.y);
  // A line has no width: it is inside when its middle is.
  const isBetween = (at: number, from: number, length: number) => at > from + tolerancePx && at < from + length - tolerancePx;
  return line.width > line.height
    ? across > tolerancePx && isBetween(a.y, box.y, box.height)
    : down > tolerancePx && isBetween(a.x, box.x, box.width);
}

function isOnBorder({ x, y }: Point, box: Rectangle): boolean {
  const near = (one: number, other: number) => Math.abs(one - other) <= 1;
  const isInWidth = x >= box.x - 1 && x <= box.x + box.width + 1;
  const isInHeight = y >= box.y - 1 && y <= box.y + box.height + 1;
  return (isInWidth && (near(y, box.y) || near(y, box.y + box.height))) || (isInHeight && (near(x, box.x) || near(x, box.x + box.width)));
}

function faultIf(isFault: boolean, sentence: string): readonly string[] {
  return isFault ? [sentence] : [];
}
