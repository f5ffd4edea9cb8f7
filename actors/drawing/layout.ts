/** The places of a machine's boxes, arrows and labels, as ELK computes them. */
import type { ElkExtendedEdge, ElkNode, LayoutOptions } from "elkjs/lib/elk-api.js";
import { limits, NotDrawnError } from "../../core/index.js";
import { movedAside } from "./box-texts.js";
import type { MachineDescription } from "./description.js";
import { LayoutFailure, layOutGraph } from "./elk.js";
import { type Arrow, type Box, type Label, type Scene, sceneOf } from "./scene.js";
import type { Point, Rectangle } from "./rectangle.js";
import { type Font, textWidth, wrapped } from "./text-width.js";

export const titleFont: Font = { px: 14, isBold: true };
export const textFont: Font = { px: 12 };
/** Distance of two lines of a name. */
export const titleLineHeightPx = 18;
/** Distance of two lines of text. */
export const lineHeightPx = 15;
/** Distance of the lines of two transitions, beside that of two lines. */
export const transitionGapPx = 5;
/** Distance of a box's name from the top, and of its texts from its sides. */
export const boxPaddingPx = 10;
/** Lines of a box are at most this wide. */
const boxLineWidthMax = 220;
export const startSizePx = 10;

/** A state with its place. Outer boxes come before inner ones. */
export interface PlacedBox extends Rectangle {
  readonly id: string;
  readonly nameLines: readonly string[];
  readonly type: Box["type"];
  readonly lines: readonly string[];
  /** Where its name and lines stand. */
  readonly texts: Rectangle;
  readonly hasInner: boolean;
  /** It is active together with its neighbours: the state around it is parallel. */
  readonly isRegion: boolean;
}

/** The dot at which the path to the initial state of a box begins. */
export interface PlacedStart extends Rectangle {
  readonly of: string;
}

/** The lines of a label, from its top, for each transition. A gap of `transitionGapPx` is between two transitions. */
export interface PlacedLabel extends Rectangle {
  readonly transitions: readonly (readonly string[])[];
}

/** An arrow: the corners of its line, and its label. The arrow of a start has no label. */
export interface PlacedArrow {
  readonly from: string;
  readonly to: string;
  readonly points: readonly Point[];
  readonly label: PlacedLabel | undefined;
}

/** A machine with a place for everything. */
export interface Layout {
  readonly width: number;
  readonly height: number;
  readonly boxes: readonly PlacedBox[];
  readonly starts: readonly PlacedStart[];
  readonly arrows: readonly PlacedArrow[];
}

/** A way to lay out that is tried. */
interface Attempt {
  /** How loops are broken: which of their arrows point upwards. */
  readonly cycleBreaking: "BFS_NODE_ORDER" | "GREEDY";
  /** Labels of arrows are broken into lines of at most this width, in pixels. */
  readonly labelWidthMax: number;
}

/** From the one that is read best: breadth first, the initial state is above all others. */
const attempts: readonly Attempt[] = [
  { cycleBreaking: "BFS_NODE_ORDER", labelWidthMax: 130 },
  { cycleBreaking: "GREEDY", labelWidthMax: 130 },
  { cycleBreaking: "BFS_NODE_ORDER", labelWidthMax: 95 },
];

/** No attempt makes a layout narrower by a greater factor than this. */
const narrowingMax = 1.4;

/**
 * Places `machine` from top to bottom, at most `widthMax` pixels wide if one of the attempts is. The same machine gets
 * the same places. Throws NotDrawnError, or the reason of `signal` when that aborts.
 */
export async function layOut(machine: MachineDescription, widthMax: number, signal?: AbortSignal): Promise<Layout> {
  const scene = sceneOf(machine);
  const tooLarge = reasonNotToLayOut(scene);
  if (tooLarge !== undefined) throw new NotDrawnError({ machine: scene.root.name, reason: tooLarge });
  let narrowest: Layout | undefined;
  let failure: LayoutFailure | undefined;
  for (const attempt of attempts) {
    try {
      const layout = await placed(scene, attempt, signal);
      if (narrowest === undefined || layout.width < narrowest.width) narrowest = layout;
      if (narrowest.width <= widthMax || narrowest.width > widthMax * narrowingMax) return narrowest;
    } catch (error) {
      if (!(error instanceof LayoutFailure)) throw error;
      failure = error;
      if (!error.dependsOnOptions) break;
    }
  }
  if (narrowest !== undefined) return narrowest;
  throw new NotDrawnError({ machine: scene.root.name, reason: failure?.message ?? "" }, failure);
}

function reasonNotToLayOut({ root, arrows }: Scene): string | undefined {
  const countOf = (box: Box): number => box.boxes.reduce((count, inner) => count + countOf(inner), 1);
  const states = countOf(root) - 1;
  const transitions = arrows.reduce((count, { labels }) => count + labels.length, 0);
  if (states > limits.drawnStatesMax) return `it has ${states} states, and the maximum is ${limits.drawnStatesMax}`;
  if (transitions > limits.drawnTransitionsMax)
    return `it has ${transitions} transitions, and the maximum is ${limits.drawnTransitionsMax}`;
  return undefined;
}

const layoutOptions: LayoutOptions = {
  "elk.algorithm": "layered",
  "elk.direction": "DOWN",
  "elk.hierarchyHandling": "INCLUDE_CHILDREN",
  "elk.edgeRouting": "ORTHOGONAL",
  "elk.json.edgeCoords": "ROOT",
  "elk.json.shapeCoords": "ROOT",
  "elk.padding": "[top=8,left=8,bottom=8,right=8]",
  "elk.spacing.nodeNode": "16",
  "elk.spacing.edgeNode": "16",
  "elk.spacing.edgeEdge": "10",
  "elk.spacing.edgeLabel": "4",
  "elk.layered.spacing.edgeNodeBetweenLayers": "16",
  "elk.layered.spacing.edgeEdgeBetweenLayers": "10",
  "elk.edgeLabels.inline": "false",
  "elk.layered.edgeLabels.sideSelection": "SMART_DOWN",
  // Narrower by a tenth than the default strategy, with as few crossings.
  "elk.layered.nodePlacement.strategy": "LINEAR_SEGMENTS",
};

/**
 * How often ELK tries to have fewer arrows cross, by the number of arrows. 20 gives a sixth fewer crossings than 7, the
 * default. With 500 arrows 20 takes two thirds of the whole time, and 1 gives a narrower picture.
 */
function thoroughnessFor(arrows: number): number {
  return arrows <= 100 ? 20 : arrows <= 250 ? 7 : 1;
}

/** The parts of a scene that nodes and edges of ELK stand for. */
interface Parts {
  readonly boxes: Map<string, { readonly box: Box; readonly nameLines: readonly string[]; readonly lines: readonly string[] }>;
  readonly starts: Map<string, Box>;
  readonly arrows: Map<string, { readonly from: string; readonly to: string; readonly transitions: PlacedLabel["transitions"] }>;
  /** Names of ELK's nodes by the ids of boxes. */
  readonly nodes: Map<string, string>;
}

async function placed({ root, arrows }: Scene, { cycleBreaking, labelWidthMax }: Attempt, signal?: AbortSignal): Promise<Layout> {
  const parts: Parts = { boxes: new Map(), starts: new Map(), arrows: new Map(), nodes: new Map() };
  const edges: ElkExtendedEdge[] = [];
  const node = nodeOf(root, parts, edges);
  for (const arrow of arrows) edges.push(edgeOf(arrow, labelWidthMax, parts));
  const graph = await layOutGraph(
    { id: "graph", children: [node], edges },
    {
      ...layoutOptions,
      "elk.layered.cycleBreaking.strategy": cycleBreaking,
      "elk.layered.thoroughness": String(thoroughnessFor(arrows.length)),
    },
    signal,
  );
  const boxes: PlacedBox[] = [];
  const starts: PlacedStart[] = [];
  collect(graph.children ?? [], parts, boxes, starts);
  const placedArrows = (graph.edges ?? []).flatMap((edge) => arrowOf(edge, parts));
  const lines = placedArrows.map(({ points }) => points);
  const labels = placedArrows.flatMap(({ label }) => label ?? []);
  return {
    width: graph.width ?? 0,
    height: graph.height ?? 0,
    boxes: boxes.map((box) => (box.hasInner ? { ...box, texts: movedAside(box.texts, box, lines, labels) } : box)),
    starts,
    arrows: placedArrows,
  };
}

function nodeOf(box: Box, parts: Parts, edges: ElkExtendedEdge[]): ElkNode {
  const id = `box${parts.boxes.size}`;
  const lines = box.lines.flatMap((line) => wrapped(line, boxLineWidthMax, textFont));
  const nameLines = wrapped(box.type === "history" ? `${box.name} (history)` : box.name, boxLineWidthMax, titleFont);
  parts.nodes.set(box.id, id);
  parts.boxes.set(id, { box, nameLines, lines });
  const width = textsWidth(nameLines, lines) + 2 * boxPaddingPx;
  const height = textsTopPx(nameLines) + lines.length * lineHeightPx + (lines.length === 0 ? 4 : boxPaddingPx);
  if (box.boxes.length === 0) return { id, width, height };
  const children = box.boxes.map((inner) => nodeOf(inner, parts, edges));
  const initial = box.initial === undefined ? undefined : parts.nodes.get(box.initial);
  if (initial !== undefined) {
    const start = `start${parts.starts.size}`;
    parts.starts.set(start, box);
    children.unshift({
      id: start,
      width: startSizePx,
      height: startSizePx,
      layoutOptions: { "elk.layered.layering.layerConstraint": "FIRST" },
    });
    edges.push({ id: `to-${start}`, sources: [start], targets: [initial] });
    parts.arrows.set(`to-${start}`, { from: box.id, to: box.initial ?? "", transitions: [] });
  }
  return {
    id,
    children,
    layoutOptions: {
      "elk.padding": `[top=${height + boxPaddingPx},left=14,bottom=14,right=14]`,
      "elk.nodeSize.constraints": "MINIMUM_SIZE",
      // ELK transposes it: see findings/elk-minimum-size-of-a-node-with-children-is-transposed.sh.
      "elk.nodeSize.minimum": `(${height},${width})`,
    },
  };
}

/** Where the texts of a box begin, below its name. */
export function textsTopPx(nameLines: readonly string[]): number {
  return nameLines.length * titleLineHeightPx + 6;
}

function textsWidth(nameLines: readonly string[], lines: readonly string[]): number {
  return Math.max(...nameLines.map((line) => textWidth(line, titleFont)), ...lines.map((line) => textWidth(line, textFont)));
}

function edgeOf({ from, to, labels }: Arrow, widthMax: number, parts: Parts): ElkExtendedEdge {
  const id = `arrow${parts.arrows.size}`;
  const transitions = labels.map((label) => linesOf(label, widthMax));
  parts.arrows.set(id, { from, to, transitions });
  const lines = transitions.flat();
  const width = Math.max(...lines.map((line) => textWidth(line, textFont)));
  const height = lines.length * lineHeightPx + (transitions.length - 1) * transitionGapPx;
  const label = { text: lines.join("\n"), width, height };
  return { id, sources: [parts.nodes.get(from) ?? ""], targets: [parts.nodes.get(to) ?? ""], labels: [label] };
}

function linesOf({ on, actions }: Label, widthMax: number): readonly string[] {
  return [...wrapped(on, widthMax, textFont), ...(actions === undefined ? [] : wrapped(actions, widthMax, textFont))];
}

function collect(nodes: readonly ElkNode[], parts: Parts, boxes: PlacedBox[], starts: PlacedStart[], around?: Box): void {
  for (const { id, x = 0, y = 0, width = 0, height = 0, children = [] } of nodes) {
    const start = parts.starts.get(id);
    if (start !== undefined) starts.push({ of: start.id, x, y, width, height });
    const part = parts.boxes.get(id);
    if (part === undefined) continue;
    const { box, nameLines, lines } = part;
    const textsHeight = textsTopPx(nameLines) + lines.length * lineHeightPx;
    boxes.push({
      ...{ id: box.id, type: box.type, nameLines, lines, x, y, width, height },
      texts: { x: x + boxPaddingPx, y, width: textsWidth(nameLines, lines), height: textsHeight },
      hasInner: box.boxes.length > 0,
      isRegion: around?.type === "parallel",
    });
    collect(children, parts, boxes, starts, box);
  }
}

function arrowOf({ id, sections = [], labels = [] }: ElkExtendedEdge, parts: Parts): readonly PlacedArrow[] {
  const part = parts.arrows.get(id);
  const [section] = sections;
  if (part === undefined || section === undefined) return [];
  const points = [section.startPoint, ...(section.bendPoints ?? []), section.endPoint].map(({ x, y }) => ({ x, y }));
  const [label] = labels;
  const { x = 0, y = 0, width = 0, height = 0 } = label ?? {};
  const { from, to, transitions } = part;
  return [{ from, to, points, label: label === undefined ? undefined : { x, y, width, height, transitions } }];
}
