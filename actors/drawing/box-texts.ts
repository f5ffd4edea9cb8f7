/** Where the texts of an outer box stand: at its left, or further right where no arrow goes through them. */
import type { Point, Rectangle } from "./rectangle.js";

/** Distance of texts from the lines of arrows. */
const distancePx = 6;

/**
 * `texts`, moved to the right inside `box` until no line of `arrows` and none of `others` is on them. Unmoved if there
 * is no such place: the drawing keeps a text on a line readable.
 */
export function movedAside(
  texts: Rectangle,
  box: Rectangle,
  arrows: readonly (readonly Point[])[],
  others: readonly Rectangle[],
): Rectangle {
  const band = { ...texts, x: box.x, width: box.width };
  const obstacles = [...arrows.flatMap(linesOf), ...others].filter((each) => overlap(each, band));
  const lastX = box.x + box.width - distancePx - texts.width;
  const places = [texts.x, ...obstacles.map(({ x, width }) => x + width + distancePx).toSorted((a, b) => a - b)];
  const place = places.find((x) => x >= texts.x && x <= lastX && !obstacles.some((each) => overlap(each, around({ ...texts, x }))));
  return { ...texts, x: place ?? texts.x };
}

/** The lines of an arrow, each as a rectangle without width or height. */
function linesOf(points: readonly Point[]): readonly Rectangle[] {
  return points.slice(1).map((to, index) => {
    const from = points[index] ?? to;
    return { x: Math.min(from.x, to.x), y: Math.min(from.y, to.y), width: Math.abs(from.x - to.x), height: Math.abs(from.y - to.y) };
  });
}

function around({ x, y, width, height }: Rectangle): Rectangle {
  return { x: x - distancePx / 2, y, width: width + distancePx, height };
}

function overlap(one: Rectangle, other: Rectangle): boolean {
  const isAcross = one.x < other.x + other.width && other.x < one.x + one.width;
  return isAcross && one.y < other.y + other.height && other.y < one.y + one.height;
}
