/** The screen of `zooid top`: a view that keys change, and its lines. Pure: it touches no terminal. */
import type { RecordModel } from "../../actors/index.js";
import type { Value } from "../../index.js";
import { printable } from "../printable.js";
import { duration } from "../progress.js";
import { timeText } from "../record-lines.js";
import { columnsOf, cutTo, paddedTo } from "../table.js";
import type { Line } from "./line.js";
import { machineLines } from "./machine-lines.js";
import type { TopActor, TopSample } from "./sampler.js";

/** Columns by which the table can be sorted. */
export const sorts = ["path", "state", "for", "events", "transitions"] as const;
export type Sort = (typeof sorts)[number];

/** The choices of a person. */
export interface TopView {
  readonly sort: Sort;
  readonly isReversed: boolean;
  /** Also actors without a machine. */
  readonly all: boolean;
  /** Key of the selected actor. */
  readonly selected: string | undefined;
  /** The selected actor's machine fills the screen. */
  readonly isOpen: boolean;
  /** Lines of the machine that are above the screen. */
  readonly scrolled: number;
  readonly isPaused: boolean;
  readonly isHelp: boolean;
}

export const firstView: TopView = {
  sort: "path",
  isReversed: false,
  all: false,
  selected: undefined,
  isOpen: false,
  scrolled: 0,
  isPaused: false,
  isHelp: false,
};

/** The view after a key; undefined: the key ends the program. `page` is the number of rows that a page key moves. */
export function afterKey(view: TopView, key: string, sample: TopSample | undefined, page: number): TopView | undefined {
  const rows = sample === undefined ? [] : shownActors(view, sample);
  const at = rows.findIndex((row) => row.key === view.selected);
  const select = (index: number): TopView =>
    view.isOpen
      ? { ...view, scrolled: Math.max(0, view.scrolled + index - at) }
      : { ...view, selected: rows[Math.min(Math.max(index, 0), rows.length - 1)]?.key };
  switch (key) {
    case "q":
    case "\u0003":
      return undefined;
    case "up":
    case "k":
      return select(at - 1);
    case "down":
    case "j":
      return select(at + 1);
    case "pageUp":
      return select(at - page);
    case "pageDown":
      return select(at + page);
    case "home":
      return select(0);
    case "end":
      return select(rows.length - 1);
    case "enter":
      if (view.isOpen) return view;
      return { ...(view.selected === undefined ? select(0) : view), isOpen: rows.length > 0, scrolled: 0 };
    case "escape":
    case "left":
      return view.isHelp ? { ...view, isHelp: false } : { ...view, isOpen: false };
    case "s":
      return { ...view, sort: sorts[(sorts.indexOf(view.sort) + 1) % sorts.length] ?? "path" };
    case "r":
      return { ...view, isReversed: !view.isReversed };
    case "a":
      return { ...view, all: !view.all };
    case "p":
    case " ":
      return { ...view, isPaused: !view.isPaused };
    case "?":
    case "h":
      return { ...view, isHelp: !view.isHelp };
    default:
      return view;
  }
}

/** The actors that the view shows, in its order. */
export function shownActors(view: Pick<TopView, "sort" | "isReversed" | "all">, { actors }: TopSample): readonly TopActor[] {
  const shown = actors.filter(({ hasMachine }) => view.all || hasMachine);
  const byPath = (a: TopActor, b: TopActor) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0);
  const compare: Record<Sort, (a: TopActor, b: TopActor) => number> = {
    path: byPath,
    state: (a, b) => (a.state < b.state ? -1 : a.state > b.state ? 1 : 0),
    for: (a, b) => (a.forMs ?? Infinity) - (b.forMs ?? Infinity) || 0,
    events: (a, b) => b.events - a.events,
    transitions: (a, b) => b.transitions - a.transitions,
  };
  const sorted = shown.toSorted((a, b) => compare[view.sort](a, b) || byPath(a, b));
  return view.isReversed ? sorted.reverse() : sorted;
}

/** The content of a screen. */
export interface TopContent {
  readonly sample: TopSample;
  readonly model: RecordModel;
  readonly place: string;
  /** The latest notice, such as a lost link. */
  readonly notice?: string | undefined;
}

/** The lines of a screen of this size. */
export function screenLines(
  view: TopView,
  { sample, model, place, notice }: TopContent,
  { width, height }: { readonly width: number; readonly height: number },
): readonly Line[] {
  const cut = (line: Line): Line => ({ ...line, text: cutTo(printable(line.text), width) });
  const head = [...headLines(sample, place, view).slice(0, 2), { text: notice ?? "" }].map(cut);
  const foot: Line = { text: footText(view, width), style: "dim" };
  const room = Math.max(0, height - head.length - 1);
  const selected = sample.actors.find(({ key }) => key === view.selected);
  const body = view.isHelp
    ? helpLines
    : view.isOpen && selected !== undefined
      ? machineLines(selected, model)
      : tableLines(view, sample, width, room);
  const from = view.isOpen && !view.isHelp ? Math.min(view.scrolled, Math.max(0, body.length - room)) : 0;
  const shown = body.slice(from, from + room).map(cut);
  const padding = Array.from({ length: room - shown.length }, (): Line => ({ text: "" }));
  return [...head, ...shown, ...padding, cut(foot)].slice(0, height);
}

/** The two lines above the table. */
export function headLines(sample: TopSample, place: string, view?: TopView): readonly Line[] {
  const { systems, incomplete, failed, actors, leftOut } = sample;
  const parts = [
    `${plural(systems, "system", "systems")}${incomplete > 0 ? ` (${incomplete} not complete)` : ""}`,
    plural(actors.filter(({ hasMachine }) => hasMachine).length, "machine", "machines"),
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(leftOut > 0 ? [`${leftOut.toLocaleString("en")} events left out`] : []),
    ...(view?.isPaused === true ? ["paused"] : []),
  ];
  return [
    { text: `zooid top   ${timeText(sample.at).slice(0, 8)}   ${place}: ${parts.join(", ")}`, style: "head" },
    { text: ratesText(sample) },
    { text: "" },
  ];
}

function ratesText({ commits, refused, transitions, invalidations, hitRate, staleMs }: TopSample): string {
  return [
    `commits ${perSecond(commits)}`,
    ...(refused > 0 ? [`refused ${perSecond(refused)}`] : []),
    `invalidations ${perSecond(invalidations)}`,
    `transitions ${perSecond(transitions)}`,
    `hit rate ${percent(hitRate)}`,
    `heard at most ${staleMs === undefined ? "-" : `${duration(staleMs)} ago`}`,
  ].join("   ");
}

const columns = ["actor", "state", "for", "events", "transitions", "facts"] as const;

/** The cells of an actor, as texts. */
export function cellsOf(actor: TopActor): readonly string[] {
  const { path, state, forMs, events, transitions } = actor;
  return [path, state, forMs === undefined ? "-" : duration(forMs), amount(events), amount(transitions), factsText(actor)];
}

export const columnNames: readonly string[] = columns;

function tableLines(view: TopView, sample: TopSample, width: number, room: number): readonly Line[] {
  const rows = shownActors(view, sample);
  if (rows.length === 0) return [{ text: "no actor is there yet: processes answer within some seconds" }];
  const selectedAt = Math.max(
    0,
    rows.findIndex(({ key }) => key === view.selected),
  );
  const rowsShown = Math.max(1, room - 1);
  const from = Math.min(Math.max(0, selectedAt - Math.floor(rowsShown / 2)), Math.max(0, rows.length - rowsShown));
  const shown = rows.slice(from, from + rowsShown);
  const cells = shown.map(cellsOf);
  const titles = columns.map((name) =>
    name.startsWith(view.sort === "path" ? "actor" : view.sort) ? `${name}${view.isReversed ? "^" : "*"}` : name,
  );
  const widths = titles.map((title, column) => Math.max(title.length, ...cells.map((row) => columnsOf(row[column] ?? ""))));
  // A long path or state must not push the rest off the screen.
  const pathMax = Math.max(16, Math.floor(width * 0.35));
  const limited = widths.map((each, column) => (column < 2 ? Math.min(each, pathMax) : each));
  const text = (row: readonly string[]) =>
    row
      .map((cell, column) => paddedTo(cutTo(cell, limited[column] ?? 0), limited[column] ?? 0))
      .join("  ")
      .trimEnd();
  return [
    { text: text(titles), style: "dim" },
    ...shown.map((actor, index): Line => {
      const style = actor.key === view.selected ? "selected" : actor.status === "error" ? "failed" : undefined;
      return { text: text(cells[index] ?? []), ...(style === undefined ? {} : { style }) };
    }),
  ];
}

/** Facts that have a place of their own, that the path says, or that are for the page of the machine alone. */
const shownElsewhere = new Set(["hits", "misses", "heardMsAgo", "commits", "client", "storage", "instance", "position", "tid"]);

/** The facts that an actor describes, the well-known ones first. */
function factsText({ hitRate, staleMs, commits, context }: TopActor): string {
  const others = Object.entries(context).flatMap(([name, value]) =>
    value === null || shownElsewhere.has(name) ? [] : [`${name} ${valueText(value)}`],
  );
  return [
    ...(commits === undefined ? [] : [`commits ${perSecond(commits)}`]),
    ...(hitRate === undefined ? [] : [`hit rate ${percent(hitRate)}`]),
    ...(staleMs === undefined ? [] : [`heard ${duration(staleMs)} ago`]),
    ...others,
  ].join(", ");
}

function valueText(value: Value): string {
  return typeof value === "object" && value !== null
    ? JSON.stringify(value)
    : typeof value === "number"
      ? value.toLocaleString("en")
      : String(value);
}

function footText({ isOpen, isHelp, sort }: TopView, width: number): string {
  if (isHelp) return "Esc back   q quit";
  if (isOpen)
    return fitting(
      [
        ["up/down scroll", 2],
        ["Esc back", 1],
        ["p pause", 3],
        ["q quit", 0],
      ],
      width,
    );
  const sorting = `s sort (${sort})`;
  const [select, open, change] = [
    ["up/down select", 4],
    ["Enter machine", 2],
    [sorting, 3],
  ] as const;
  return fitting([select, open, change, ["r reverse", 7], ["a all actors", 5], ["p pause", 6], ["? help", 1], ["q quit", 0]], width);
}

/** Keys in their order, each with its rank. Without room for all, the ones with the highest ranks are left out. */
function fitting(keys: readonly (readonly [text: string, rank: number])[], width: number): string {
  const ranks = keys.map(([, rank]) => rank).toSorted((a, b) => a - b);
  const lines = ranks.map((rankMax) => keys.flatMap(([text, rank]) => (rank <= rankMax ? [text] : [])).join("   "));
  return lines.findLast((line) => line.length <= width) ?? lines[0] ?? "";
}

const helpLines: readonly Line[] = [
  "up, down, j, k        select an actor; Page Up, Page Down, Home, End",
  "Enter                 its machine with the current states, and its latest transitions",
  "Esc, left             back to the table",
  "s                     sort by the next column (path, state, for, events, transitions)",
  "r                     reverse the order",
  "a                     also actors without a machine, such as promises",
  "p, space              pause, and go on",
  "q, Ctrl-C             quit",
  "",
  "for: time in the state. events, transitions: in a second. Facts are what an actor describes: hit rate of its cache, commits of a second, and so on.",
].map((text) => ({ text }));

/** A rate for people: `0`, `0.4`, `12`, `1,200`. */
function amount(value: number): string {
  return value === 0 ? "0" : value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString("en");
}

function perSecond(value: number): string {
  return `${amount(value)}/s`;
}

function percent(share: number | undefined): string {
  return share === undefined ? "-" : `${(share * 100).toFixed(1)} %`;
}

function plural(count: number, one: string, many: string): string {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}
