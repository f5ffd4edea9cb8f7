import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { root } from "../support/source.js";

const read = (path: string) => readFileSync(join(root, path), "utf8");
const tracked = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], { cwd: root, encoding: "utf8" })
  .split("\0")
  .filter((path) => path !== "" && existsSync(join(root, path)));

const design = read("docs/design/design.md");
const interleavings = read("docs/design/interleavings.md");
const platform = read("docs/design/platform.md");

const headingsOf = (text: string) => Array.from(text.matchAll(/^#+ (.+)$/gm), ([, heading = ""]) => heading);

/** Passages of comments that cite `document`: from its name to the end of the line, or to a semicolon. */
function citations(document: string): readonly { readonly path: string; readonly passage: string }[] {
  return tracked
    .filter((path) => path.endsWith(".ts") && path !== "test/docs/design.test.ts")
    .flatMap((path) => Array.from(read(path).matchAll(new RegExp(`\\b${document}\\b[^;\\n]*`, "g")), ([passage]) => ({ path, passage })));
}

describe("what comments cite exists", () => {
  test("each heading of DESIGN", () => {
    const headings = headingsOf(design);
    const cited = citations("DESIGN");
    expect(cited.length).toBeGreaterThan(10);
    const missing = cited.flatMap(({ path, passage }) =>
      Array.from(passage.matchAll(/"([^"]+?),?"/g), ([, heading = ""]) => heading)
        .filter((heading) => !headings.includes(heading))
        .map((heading) => `${path}: "${heading}"`),
    );
    expect(missing).toEqual([]);
  });

  test("each promise of DESIGN", () => {
    const promises = /^## Promises$([^]*?)^## /m.exec(design)?.[1] ?? "";
    const missing = citations("DESIGN").flatMap(({ path, passage }) =>
      Array.from(passage.matchAll(/promises? (\d+)(?: (?:and|to) (\d+))?/g), ([, from, to]) => [from, to])
        .flat()
        .filter((number) => number !== undefined && !promises.includes(`\n${number}. `))
        .map((number) => `${path}: promise ${number}`),
    );
    expect(missing).toEqual([]);
  });

  test("each section of INTERLEAVINGS", () => {
    const sections = headingsOf(interleavings);
    const cited = citations("INTERLEAVINGS").flatMap(({ path, passage }) =>
      Array.from(passage.matchAll(/\b[A-Z]\d+\b/g), ([section]) => ({ path, section })),
    );
    expect(cited.length).toBeGreaterThan(10);
    const missing = cited.filter(({ section }) => !sections.some((heading) => heading.startsWith(`${section}. `)));
    expect(missing).toEqual([]);
  });
});

/** Words between backticks that look like a file of the repository. */
const filesNamedIn = (text: string) =>
  Array.from(text.matchAll(/`((?:[\w-]+\/)*[\w.-]+\.(?:ts|mjs|sh|md|conf))`/g), ([, path = ""]) => path);

test.each(["contributing.md", "design/design.md", "design/interleavings.md", "design/platform.md"])(
  "each file that docs/%s names exists",
  (name) => {
    const missing = filesNamedIn(read(`docs/${name}`)).filter((path) => path.includes("/") && !tracked.includes(path));
    expect(missing).toEqual([]);
  },
);

describe("docs/design/platform.md", () => {
  const files = tracked.filter((path) => /^test\/platform\/.*\.test\.ts$/.test(path));
  const titles = files.flatMap((path) =>
    Array.from(read(path).matchAll(/^\s*test(?:\.\w+\([^\n]*\))?\("([^"]+)"/gm), ([, title = ""]) => title),
  );
  const named = Array.from(platform.matchAll(/^- \*\*(.+?)\.\*\*/gm), ([, title = ""]) => title);

  test("names only contract tests that exist", () => {
    expect(named.filter((title) => !titles.includes(title))).toEqual([]);
  });

  test("names every contract test", () => {
    expect(titles.length).toBeGreaterThan(20);
    expect(titles.filter((title) => !named.includes(title))).toEqual([]);
  });
});
