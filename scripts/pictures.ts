// The pictures of machines in README and docs, as npm run docs writes them.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createMachine, type AnyStateMachine, type StateValue } from "xstate";
import { machineToSvg } from "../actors/index.js";
import { machines } from "../machines/index.js";

const root = join(import.meta.dirname, "..");

/** The machine of README's example. A test holds that the command there draws the same picture. */
const orderMachine = createMachine({
  id: "order",
  initial: "open",
  states: { open: { on: { PAY: "paid" } }, paid: { on: { SHIP: "shipped" } }, shipped: { type: "final" } },
});

/** A path relative to the project, and what stands there. */
interface Picture {
  readonly path: string;
  readonly machine: AnyStateMachine;
  readonly current?: StateValue;
}

const pictures: readonly Picture[] = [
  ...Object.entries(machines).map(([name, machine]) => ({ path: pathOfPicture(name), machine })),
  { path: "docs/guide/order.svg", machine: orderMachine, current: "paid" },
];

/** Where the picture of a machine of Zooid is, relative to the project. */
export function pathOfPicture(name: string): string {
  return `docs/reference/machines/${name}.svg`;
}

/** The pictures as the code draws them, by their paths. */
export async function drawnPictures(): Promise<ReadonlyMap<string, string>> {
  const drawn = new Map<string, string>();
  for (const { path, machine, current } of pictures) drawn.set(path, await machineToSvg(machine, { current }));
  return drawn;
}

/** The pictures on disk. A missing one is "". */
export function readPictures(): ReadonlyMap<string, string> {
  return new Map(pictures.map(({ path }) => [path, textOf(path)]));
}

/** Writes the pictures that have changed. */
export async function writePictures(): Promise<void> {
  const before = readPictures();
  for (const [path, text] of await drawnPictures()) {
    if (text === before.get(path)) continue;
    mkdirSync(join(root, dirname(path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(join(root, path), "utf8");
  } catch {
    return "";
  }
}
