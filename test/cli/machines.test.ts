import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { machines } from "../../machines/index.js";
import { runZooid, zooid } from "./run-zooid.js";

let folder: string;
const inFolder = (name: string) => join(folder, name);
const xstate = JSON.stringify(import.meta.resolve("xstate"));
const files = {
  "order.mjs": `export const order = createMachine({ id: "order", initial: "open", states: { open: {} } });\nexport default order;`,
  "two.mjs": `export const order = createMachine({ id: "order" });\nexport const payment = createMachine({ id: "payment" });`,
  "none.mjs": `export const price = 1;`,
  "broken.mjs": `throw new Error("no database");`,
  "huge.mjs": `export default createMachine({ initial: "s0", states: Object.fromEntries(Array.from({ length: 600 }, (_, i) => ["s" + i, {}])) });`,
  "waiting.mjs": `await new Promise(() => {});`,
  "busy.mjs": `setInterval(() => {}, 1_000);\nexport const order = createMachine({ id: "order" });`,
};

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "zooid-machines-"));
  for (const [name, text] of Object.entries(files)) writeFileSync(inFolder(name), `import { createMachine } from ${xstate};\n${text}\n`);
  mkdirSync(inFolder("there"));
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe("zooid machines with a file", () => {
  test("draws the machine that the file exports, in each format", async () => {
    const { lines: mermaid } = await zooid(["machines", inFolder("order.mjs")]);
    expect(mermaid).toEqual(["stateDiagram-v2", "  [*] --> open", "  open"]);
    const { lines: json } = await zooid(["machines", inFolder("order.mjs"), "--format", "json"]);
    expect(json.map((line) => JSON.parse(line) as unknown)).toEqual([
      { id: "order", type: "compound", initial: "open", states: { open: { type: "atomic" } } },
    ]);
    const { lines: svg } = await zooid(["machines", inFolder("order.mjs"), "--format", "svg"]);
    expect(svg[1]).toBe("<title>order</title>");
  });

  test("draws the one that is named after #", async () => {
    const { lines } = await zooid(["machines", `${inFolder("two.mjs")}#payment`, "--json"]);
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({ id: "payment" });
  });

  test.each([
    ["missing.mjs", "ZOOID_FILE", /^there is no file .*missing\.mjs$/],
    ["broken.mjs", "ZOOID_FILE", /broken\.mjs cannot be loaded: Error: no database$/],
    ["none.mjs", "ZOOID_NOT_FOUND", /exports no machine of XState 5, as createMachine returns it: it exports price$/],
    ["two.mjs", "ZOOID_USAGE", /exports several machines, order, payment: name one, such as .*two\.mjs#order$/],
    ["two.mjs#refund", "ZOOID_NOT_FOUND", /exports no machine refund: its machines are order, payment$/],
    ["huge.mjs", "ZOOID_NOT_DRAWN", /it has 600 states, and the maximum is 500$/],
  ])("%s is a clear error", async (name, code, message) => {
    const out = inFolder("failed.svg");
    const { error } = await zooid(["machines", inFolder(name), "--format", "svg", "--out", out]);
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) as string });
    expect(readdirSync(folder)).not.toContain("failed.svg");
  });

  test("fails when the file waits for something that never happens", async () => {
    const { err, code } = await runZooid(["machines", inFolder("waiting.mjs")]);
    expect(err).toMatch(/waiting\.mjs cannot be loaded: Error: an await at its top level never ends \(ZOOID_FILE\)$/m);
    expect(code).toBe(1);
  });

  test("ends although the file has started something that goes on", async () => {
    const { out, code } = await runZooid(["machines", inFolder("busy.mjs"), "--json"]);
    expect([out, code]).toEqual(['{"id":"order","type":"atomic"}\n', 0]);
  });
});

describe("zooid machines --out", () => {
  test("writes the image that it would print", async () => {
    const { lines } = await zooid(["machines", "session", "--format", "svg"]);
    const { lines: printed, error } = await zooid(["machines", "session", "--format", "svg", "--out", inFolder("session.svg")]);
    expect([printed, error]).toEqual([[], undefined]);
    expect(readFileSync(inFolder("session.svg"), "utf8")).toBe(`${lines.join("\n")}\n`);
  });

  test("writes several machines into a folder", async () => {
    await zooid(["machines", "--out", inFolder("all")]);
    expect(readdirSync(inFolder("all")).toSorted()).toEqual(
      Object.keys(machines)
        .map((name) => `${name}.mmd`)
        .toSorted(),
    );
  });

  test("says why a file cannot be written", async () => {
    const { error: isFolder } = await zooid(["machines", "session", "--out", inFolder("there")]);
    expect(isFolder).toMatchObject({ code: "ZOOID_FILE", message: expect.stringContaining("it is a folder") as string });
    const { error: noFolder } = await zooid(["machines", "session", "--out", inFolder("nowhere/session.mmd")]);
    expect(noFolder).toMatchObject({ code: "ZOOID_FILE", message: expect.stringContaining("its folder does not exist") as string });
    const { error: isFile } = await zooid(["machines", "--out", inFolder("order.mjs")]);
    expect(isFile).toMatchObject({ code: "ZOOID_FILE", message: expect.stringContaining("it is a file") as string });
  });

  test("is needed for several images", async () => {
    const { error } = await zooid(["machines", "--format", "svg"]);
    expect(error).toMatchObject({ code: "ZOOID_USAGE", message: expect.stringContaining("a folder with --out") as string });
  });
});

test("zooid machines refuses --json with another format", async () => {
  const { error } = await zooid(["machines", "session", "--json", "--format", "svg"]);
  expect(error).toMatchObject({ code: "ZOOID_USAGE" });
});
