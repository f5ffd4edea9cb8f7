import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { machineToMermaid } from "../actors/drawing.js";
import { unnamed } from "../actors/machine-description.js";
import * as machineRoom from "../machines/index.js";
import { withGeneratedParts } from "../scripts/docs.js";
import { root } from "./source.js";

const readme = readFileSync(join(root, "README.md"), "utf8");

describe("README", () => {
  test("shows machines, errors and bounds as the code has them (npm run docs)", async () => {
    expect(readme).toBe(await withGeneratedParts(readme));
  });

  test("every file and folder it links to is there", () => {
    const targets = [...readme.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map((match) => String(match[1]));
    expect(targets.filter((target) => !existsSync(join(root, dirname("README.md"), target)))).toEqual([]);
  });

  test("every npm script it names is there", () => {
    const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { readonly scripts: Record<string, string> };
    const named = [...readme.matchAll(/npm run ([\w:-]+)/g)].map((match) => String(match[1]));
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
  });
});

describe("machines", () => {
  test.each(Object.entries(machineRoom.machines))("%s has no guard, action, delay or actor without a name", (_name, machine) => {
    expect(
      machineToMermaid(machine)
        .split("\n")
        .filter((line) => line.includes(unnamed)),
    ).toEqual([]);
  });

  test("every machine that is exported is listed, and so drawn", () => {
    const exported = Object.entries(machineRoom).filter(([name]) => name.endsWith("Machine"));
    const listed: readonly unknown[] = Object.values(machineRoom.machines);
    expect(exported.filter(([, machine]) => !listed.includes(machine)).map(([name]) => name)).toEqual([]);
  });
});
