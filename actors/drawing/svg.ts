/** Machines as SVG images: light or dark as the reader prefers, with the current states marked. */
import type { AnyStateMachine, StateValue } from "xstate";
import type { MachineDescription } from "./description.js";
import {
  layOut,
  type Layout,
  lineHeightPx,
  type PlacedArrow,
  type PlacedBox,
  startSizePx,
  textFont,
  textsTopPx,
  titleFont,
  titleLineHeightPx,
  transitionGapPx,
} from "./layout.js";
import { descriptionOf, type DrawingOptions } from "./mermaid.js";
import type { Point } from "./rectangle.js";
import { shownText } from "./scene.js";
import { statePathText } from "./state-path.js";
import { textWidth } from "./text-width.js";

const style = `
  svg { color-scheme: light dark; font-family: Helvetica, Arial, "Liberation Sans", sans-serif; }
  .paper { fill: #ffffff; }
  .box { fill: #f6f8fa; stroke: #57606a; }
  .outer { fill: #ffffff; }
  .region { stroke-dasharray: 6 4; }
  .current { stroke: #9a6700; stroke-width: 2; }
  .current:not(.outer) { fill: #fff3c4; }
  .arrow { fill: none; stroke: #57606a; }
  .head, .start { fill: #57606a; }
  .name { fill: #1f2328; font-weight: bold; font-size: ${titleFont.px}px; }
  .text { fill: #1f2328; font-size: ${textFont.px}px; }
  .name, .text { paint-order: stroke; stroke: #ffffff; stroke-width: 3px; stroke-linejoin: round; }
  .inner { stroke: #f6f8fa; }
  .marked { stroke: #fff3c4; }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117; }
    .box { fill: #161b22; stroke: #8b949e; }
    .outer { fill: #0d1117; }
    .current { stroke: #e3b341; }
    .current:not(.outer) { fill: #3b2f00; }
    .arrow { stroke: #8b949e; }
    .head, .start { fill: #8b949e; }
    .name, .text { fill: #e6edf3; stroke: #0d1117; }
    .inner { stroke: #161b22; }
    .marked { stroke: #3b2f00; }
  }`;

/** How an SVG image of a machine is made. */
export interface SvgOptions extends DrawingOptions {
  /** Width in pixels that the image exceeds only when the machine cannot be narrower. Default: 900. */
  readonly widthMax?: number | undefined;
  /** Ends the drawing, which rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * `machine`, or a description of it, as the text of an SVG image, from top to bottom. The same machine gives the same
 * text. A thread of its own lays it out, in less than a second for a machine that fits on a screen. Throws
 * NotDrawnError.
 */
export async function machineToSvg(
  machine: AnyStateMachine | MachineDescription,
  { current, widthMax = usualWidthPx, signal }: SvgOptions = {},
): Promise<string> {
  const description = descriptionOf(machine);
  return svgOf(await layOut(description, widthMax, signal), shownText(description.id), current);
}

/** Readable beside a text. */
const usualWidthPx = 900;

function svgOf(layout: Layout, title: string, current: StateValue | undefined): string {
  const marked = new Set(current === undefined ? [] : statesOf(current, []));
  const { boxes, arrows, starts } = layout;
  const [width, height] = [Math.ceil(layout.width), Math.ceil(layout.height)];
  const radius = startSizePx / 2;
  const lines = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<style>${style}\n</style>`,
    `<rect class="paper" width="${width}" height="${height}"/>`,
    ...boxes.flatMap((box) => rectanglesOf(box, marked.has(box.id))),
    ...starts.map(({ x, y }) => `<circle class="start" cx="${number(x + radius)}" cy="${number(y + radius)}" r="${radius}"/>`),
    ...arrows.flatMap(({ points }) => [`<path class="arrow" d="${pathOf(points)}"/>`, ...headOf(points)]),
    // Texts are above lines: the color around each of them keeps it readable.
    ...boxes.flatMap((box) => textsOf(box, marked.has(box.id))),
    ...arrows.flatMap(labelOf),
    "</svg>",
  ];
  return `${lines.join("\n")}\n`;
}

function rectanglesOf({ x, y, width, height, type, hasInner, isRegion }: PlacedBox, isCurrent: boolean): readonly string[] {
  const kinds = ["box", ...(hasInner ? ["outer"] : []), ...(isRegion ? ["region"] : []), ...(isCurrent ? ["current"] : [])].join(" ");
  const rectangle = (inset: number): string => {
    const size = `width="${number(width - 2 * inset)}" height="${number(height - 2 * inset)}"`;
    return `<rect class="${kinds}" x="${number(x + inset)}" y="${number(y + inset)}" ${size} rx="6"/>`;
  };
  return type === "final" ? [rectangle(0), rectangle(3)] : [rectangle(0)];
}

function textsOf({ texts: { x, y }, nameLines, lines, hasInner }: PlacedBox, isCurrent: boolean): readonly string[] {
  const behind = hasInner ? "" : isCurrent ? " marked" : " inner";
  return [
    ...nameLines.map((line, index) =>
      textAt(`name${behind}`, { x, y: y + index * titleLineHeightPx + 17 }, line, textWidth(line, titleFont)),
    ),
    ...linesAt(`text${behind}`, { x, y: y + textsTopPx(nameLines) }, lines),
  ];
}

function labelOf({ label }: PlacedArrow): readonly string[] {
  if (label === undefined) return [];
  let top = label.y;
  return label.transitions.flatMap((lines) => {
    const y = top;
    top += lines.length * lineHeightPx + transitionGapPx;
    return linesAt("text", { x: label.x, y }, lines);
  });
}

function linesAt(kind: string, { x, y }: Point, lines: readonly string[]): readonly string[] {
  return lines.map((line, index) => textAt(kind, { x, y: y + index * lineHeightPx + 11 }, line, textWidth(line, textFont)));
}

function pathOf(points: readonly Point[]): string {
  return points.map(({ x, y }, index) => `${index === 0 ? "M" : "L"}${number(x)} ${number(y)}`).join(" ");
}

/** The head of an arrow at its last point. */
function headOf(points: readonly Point[]): readonly string[] {
  const [from, to] = points.slice(-2);
  if (from === undefined || to === undefined) return [];
  const length = Math.hypot(to.x - from.x, to.y - from.y) || 1;
  const [dx, dy] = [(to.x - from.x) / length, (to.y - from.y) / length];
  const corner = (back: number, aside: number) => `${number(to.x - dx * back - dy * aside)},${number(to.y - dy * back + dx * aside)}`;
  return [`<polygon class="head" points="${corner(0, 0)} ${corner(8, 4)} ${corner(8, -4)}"/>`];
}

function textAt(kind: string, { x, y }: Point, text: string, width: number): string {
  const length = `textLength="${number(width)}" lengthAdjust="spacingAndGlyphs"`;
  return `<text class="${kind}" x="${number(x)}" y="${number(y)}" ${length}>${escaped(text)}</text>`;
}

function number(value: number): string {
  return String(Math.round(value * 10) / 10);
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

/** Ids of all states in `value`, outer ones too. */
function statesOf(value: StateValue, path: readonly string[]): readonly string[] {
  if (typeof value === "string") return [statePathText([...path, value])];
  return Object.entries(value).flatMap(([name, child]) => {
    const at = [...path, name];
    return [statePathText(at), ...(child === undefined ? [] : statesOf(child, at))];
  });
}
