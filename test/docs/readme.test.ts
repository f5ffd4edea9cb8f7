import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { PassThrough } from "node:stream";
import { describe, expect, test } from "vitest";
import { machineToMermaid } from "../../actors/drawing/mermaid.js";
import { unnamed } from "../../actors/drawing/description.js";
import { Output } from "../../cli/output.js";
import { createProgram } from "../../cli/program.js";
import * as machineRoom from "../../machines/index.js";
import { readDocuments, withGeneratedParts } from "../../scripts/docs.js";
import { drawnPictures, readPictures } from "../../scripts/pictures.js";
import { root } from "../support/source.js";

const documents = readDocuments();
const readme = documents.get("README.md") ?? "";

describe("README", () => {
  test("has at most 250 lines and 16 KB", () => {
    expect(readme.split("\n").length).toBeLessThanOrEqual(250);
    expect(Buffer.byteLength(readme)).toBeLessThanOrEqual(16 * 1024);
  });
});

describe("the documents", () => {
  test("show options, errors, bounds, metrics and machines as the code has them (npm run docs)", async () => {
    expect([...(await withGeneratedParts(documents))]).toEqual([...documents]);
  });

  test("show pictures of machines as the code draws them (npm run docs)", async () => {
    const changed = [...(await drawnPictures())].filter(([path, text]) => readPictures().get(path) !== text).map(([path]) => path);
    expect(changed).toEqual([]);
  });

  test("link only to files, folders and headings that exist", () => {
    const dead = [...documents].flatMap(([path, text]) =>
      linksOf(text)
        .filter((link) => !isThere(path, link))
        .map((link) => `${path}: ${link}`),
    );
    expect(dead).toEqual([]);
  });

  test("can all be reached from README", () => {
    const reached = new Set(["README.md"]);
    for (const path of reached) {
      for (const link of linksOf(documents.get(path) ?? "")) {
        const target = normalize(join(dirname(path), link.replace(/#.*/, "")));
        if (documents.has(target)) reached.add(target);
      }
    }
    expect([...documents.keys()].filter((path) => !reached.has(path))).toEqual([]);
  });

  test("name only npm scripts that exist", () => {
    const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { readonly scripts: Record<string, string> };
    const named = [...documents.values()].flatMap((text) =>
      [...text.matchAll(/npm run (?:--silent )?([\w:-]+)/g)].map((match) => String(match[1])),
    );
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
  });
});

describe("the command line in the documents", () => {
  const program = createProgram({
    out: new Output(new PassThrough(), () => undefined),
    say: () => undefined,
    signal: new AbortController().signal,
  });
  const lines = [...documents.values()].flatMap((text) =>
    [...text.matchAll(/^ *```sh\n([^]*?)^ *```$/gm)].flatMap(([, block = ""]) =>
      [...block.matchAll(/\bzooid (?:[a-z]+\b[^|\n]*)/g)].map(([line]) => line),
    ),
  );

  test.each([...new Set(lines)])("%s: the command and its flags exist", (line) => {
    const [, ...words] = line.trim().split(/ +/);
    let command = program;
    while (words[0] !== undefined && command.commands.some((each) => each.name() === words[0])) {
      command = command.commands.find((each) => each.name() === words[0]) ?? command;
      words.shift();
    }
    expect(command).not.toBe(program);
    const flags = words.filter((word) => word.startsWith("--"));
    expect(flags.filter((flag) => !command.options.some(({ long }) => long === flag))).toEqual([]);
  });
});

describe("machines", () => {
  test.each(Object.entries(machineRoom.machines))("%s has no guard, action, delay or actor without a name", (_name, machine) => {
    expect(
      machineToMermaid(machine)
        .split("\n")
        .filter((line) => line.includes(unnamed) || /after \d+ ms/.test(line)),
    ).toEqual([]);
  });

  test("every exported machine is listed, and so is drawn", () => {
    const exported = Object.entries(machineRoom).filter(([name]) => name.endsWith("Machine"));
    const listed: readonly unknown[] = Object.values(machineRoom.machines);
    expect(exported.filter(([, machine]) => !listed.includes(machine)).map(([name]) => name)).toEqual([]);
  });
});

/** Targets of a document's links into the project, outside of code blocks. */
function linksOf(text: string): readonly string[] {
  return [...withoutCode(text).matchAll(/\]\((?!https?:)([^)\s]+)\)/g)].map((match) => String(match[1]));
}

function isThere(path: string, link: string): boolean {
  const [file = "", anchor] = link.split("#");
  const target = file === "" ? path : normalize(join(dirname(path), file));
  if (!existsSync(join(root, target))) return false;
  if (anchor === undefined) return true;
  return !statSync(join(root, target)).isDirectory() && anchorsOf(readFileSync(join(root, target), "utf8")).has(anchor);
}

/** The anchors that GitHub gives the headings of a document. */
function anchorsOf(text: string): ReadonlySet<string> {
  const anchors = new Set<string>();
  for (const [, heading = ""] of withoutCode(text).matchAll(/^#+ (.+)$/gm)) {
    const anchor = heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(" ", "-");
    let [unique, count] = [anchor, 0];
    while (anchors.has(unique)) unique = `${anchor}-${++count}`;
    anchors.add(unique);
  }
  return anchors;
}

function withoutCode(text: string): string {
  return text.replaceAll(/^```[^]*?^```$/gm, "");
}
