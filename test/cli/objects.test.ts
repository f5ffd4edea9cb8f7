import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CommandError } from "../../cli/failure.js";
import { connect } from "../../index.js";
import { openSetup } from "./setup.js";
import { runZooid, zooid } from "./run-zooid.js";
import { built } from "../support/built.js";

let setup: Awaited<ReturnType<typeof openSetup>>;
/** Flags with the address of the test's broker. */
let there: readonly string[];

beforeAll(async () => {
  setup = await openSetup();
  there = ["--servers", setup.url];
});
afterAll(() => setup.close());

describe("objects from the command line", () => {
  test("get and list print what put wrote, and delete removes it", async () => {
    const written = await zooid(["put", "fruit/apple", '{"colour":"red","since":{"$date":"2026-01-01T00:00:00.000Z"}}', ...there]);
    expect(written).toMatchObject({ error: undefined, lines: [expect.stringMatching(/^fruit\/apple written by transaction \d+$/)] });
    await zooid(["put", "fruit/pear", "7", ...there]);

    const got = await zooid(["get", "fruit/apple", "fruit/pear", ...there]);
    expect(got.lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      { key: "fruit/apple", value: { colour: "red", since: { $date: "2026-01-01T00:00:00.000Z" } } },
      { key: "fruit/pear", value: 7 },
    ]);
    expect((await zooid(["list", "fruit/", "--limit", "1", ...there])).lines).toEqual([
      'fruit/apple\t{"colour":"red","since":{"$date":"2026-01-01T00:00:00.000Z"}}',
    ]);
    expect((await zooid(["list", "fruit/", "--after", "fruit/apple", "--keys", ...there])).lines).toEqual(["fruit/pear"]);

    await zooid(["delete", "fruit/apple", "fruit/pear", ...there]);
    expect((await zooid(["list", "fruit/", ...there])).lines).toEqual([]);
  });

  test("get of an absent key fails with a code of its own", async () => {
    const { error, lines } = await zooid(["get", "nothing", ...there]);
    expect(lines).toEqual([]);
    expect(error).toMatchObject({ code: "ZOOID_NOT_FOUND", message: '"nothing": no such object' });
  });

  test("delete of an absent key fails, and deletes the other given keys", async () => {
    await zooid(["put", "there", "1", ...there]);
    const { error, lines } = await zooid(["delete", "there", "nope", ...there]);
    expect(lines).toEqual([expect.stringMatching(/^there deleted by transaction \d+$/)]);
    expect(error).toMatchObject({ code: "ZOOID_NOT_FOUND", message: '"nope": no such object' });
    expect((await zooid(["delete", "there", "nope", ...there])).lines).toEqual([]);
  });

  test("put of a number that would be rounded is wrong usage, and the error says how to write it", async () => {
    const { error } = await zooid(["put", "big", '{"n":[12345678901234567890]}', ...there]);
    expect(error).toMatchObject({
      code: "ZOOID_USAGE",
      message: expect.stringContaining(
        '12345678901234567890 would be rounded to 12345678901234567000: a whole number of that size is {"$bigint":',
      ) as string,
    });
  });

  test("control characters in keys are printed in escaped form, on one line", async () => {
    const key = "odd/\u001b[31mred\nsecond\u202eline\u009b";
    await zooid(["put", key, '"\u009b"', ...there]);
    const shown = "odd/\\u001b[31mred\\u000asecond\\u202eline\\u009b";
    expect((await zooid(["list", "odd/", ...there])).lines).toEqual([`${shown}\t"\\u009b"`]);
    expect((await zooid(["list", "odd/", "--keys", ...there])).lines).toEqual([shown]);
    const json = await zooid(["list", "odd/", "--json", ...there]);
    expect(json.lines.map((line) => (JSON.parse(line) as { readonly key: string }).key)).toEqual([key]);
    expect((await zooid(["delete", key, ...there])).lines).toEqual([expect.stringContaining(`${shown} deleted`)]);
  });

  test("on a full disk a command ends with one line and a code", async () => {
    for (let index = 0; index < 3; index++) await zooid(["put", `full/${index}`, JSON.stringify("x".repeat(50_000)), ...there]);
    const run = async (words: readonly string[]) => {
      const full = openSync("/dev/full", "w");
      const child = spawn(process.execPath, [built("cli/zooid.js"), ...words, ...there], { stdio: ["ignore", full, "pipe"] });
      const [err, [code]] = await Promise.all([text(child.stderr as Readable), once(child, "close") as Promise<[number]>]);
      closeSync(full);
      return { code, err };
    };
    for (const ended of await Promise.all([["export"], ["list", "full/"], ["get", "full/0"]].map(run)))
      expect(ended).toEqual({ code: 1, err: "zooid: standard output cannot be written: ENOSPC (ZOOID_FILE)\n" });
  }, 120_000);

  test("put of a value that is not JSON is wrong usage", async () => {
    const { error } = await zooid(["put", "a", "{", ...there]);
    expect(error).toMatchObject({ code: "ZOOID_USAGE" });
  });
});

describe("import and export", () => {
  test("imported rows are exported without loss, in the order of keys", async () => {
    const rows = Array.from({ length: 1_234 }, (_, index) => ({
      key: `round/${String(index).padStart(5, "0")}`,
      value: {
        index,
        name: `näme ${index}`,
        bytes: { $bytes: "aGVsbG8=" },
        big: { $bigint: "9007199254740993" },
        $$dollar: [null, true, 1.5],
      },
    }));
    const lines = rows.map((row) => JSON.stringify(row));
    const file = join(setup.folder, "rows.ndjson");
    await writeFile(file, `${lines.toReversed().join("\n")}\n\n`);

    const imported = await zooid(["import", file, "--json", ...there]);
    expect(imported.error).toBeUndefined();
    expect(JSON.parse(imported.lines[0] ?? "")).toMatchObject({ event: "imported", rows: 1_234, lastLine: 1_234 });

    const exported = await zooid(["export", "round/", ...there]);
    expect(exported.lines).toEqual(lines);
  });

  test("an invalid line is named in the error; all rows before it are stored, and none after it", async () => {
    const row = (number: number) => JSON.stringify({ key: `bad/${String(number).padStart(4, "0")}`, value: number });
    const lines = Array.from({ length: 1_500 }, (_, index) => row(index + 1));
    lines[702] = '{"key": "bad/0703", "valu": 703}';
    const file = join(setup.folder, "bad.ndjson");
    await writeFile(file, lines.join("\n"));

    const { error } = await zooid(["import", file, ...there]);
    expect(error).toBeInstanceOf(CommandError);
    expect(error).toMatchObject({ code: "ZOOID_BAD_LINE", facts: { line: 703, lastLine: 702 } });
    expect((error as Error).message).toMatch(/^line 703 is not a row .*all rows up to line 702 are stored: go on with --from-line 703$/);
    const { lines: there_ } = await zooid(["list", "bad/", "--keys", "--limit", "2000", ...there]);
    expect(there_).toEqual(Array.from({ length: 702 }, (_, index) => `bad/${String(index + 1).padStart(4, "0")}`));

    lines[702] = row(703);
    await writeFile(file, lines.join("\n"));
    const rest = await zooid(["import", file, "--from-line", "703", "--json", ...there]);
    expect(JSON.parse(rest.lines[0] ?? "")).toMatchObject({ rows: 798, lastLine: 1_500 });
  });

  test("a missing file is an error that names it", async () => {
    const { error } = await zooid(["import", join(setup.folder, "missing.ndjson"), ...there]);
    expect(error).toMatchObject({ code: "ZOOID_FILE" });
  });

  test("an export whose reader closes the pipe ends silently", async () => {
    const words = [built("cli/zooid.js"), "export", "round/", ...there];
    const child = spawn(process.execPath, words, { stdio: ["ignore", "pipe", "pipe"] });
    const [err, [code]] = await Promise.all([
      text(child.stderr),
      once(child, "exit"),
      once(child.stdout, "data").then(() => child.stdout.destroy()),
    ]);
    expect({ err, code }).toEqual({ err: "", code: 141 });
  });

  test("an interrupted import ends at once, and says which rows are stored", async () => {
    await using client = await connect({ servers: setup.url, cache: "transient" });
    const changes = client.watch("cut/");
    const child = spawn(process.execPath, [built("cli/zooid.js"), "import", ...there], { stdio: ["pipe", "pipe", "pipe"] });
    const err = text(child.stderr);
    // More rows than one transaction holds, so that the first transaction is written while standard input stays open.
    child.stdin.write(Array.from({ length: 700 }, (_, index) => `{"key":"cut/${index}","value":${index}}\n`).join(""));
    await changes.next();
    child.kill("SIGINT");
    expect(await once(child, "exit")).toEqual([130, null]);
    // The answer to the first transaction may not have arrived yet.
    const [, said, next] =
      /^zooid: interrupted; all rows up to line (\d+) are stored: go on with --from-line (\d+)\n$/.exec(await err) ?? [];
    expect([0, 500]).toContain(Number(said));
    expect(Number(next)).toBe(Number(said) + 1);
    expect(await client.get("cut/499")).toBe(499);
    expect(await client.get("cut/500")).toBeUndefined();
  });

  test("standard input is imported, and failures are JSON with --json", async () => {
    const piped = await runZooid(["import", "--json", ...there], '{"key":"piped","value":1}\nnonsense\n');
    expect(piped.code).toBe(1);
    const failure = JSON.parse(piped.err.trim().split("\n").at(-1) ?? "") as unknown;
    expect(failure).toMatchObject({ event: "error", error: { code: "ZOOID_BAD_LINE", facts: { line: 2, lastLine: 1 } } });
    expect((await zooid(["get", "piped", ...there])).lines).toEqual(["1"]);
  });
});
