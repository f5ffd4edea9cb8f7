import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readRows, rowToLine, type NumberedRow } from "../../cli/ndjson.js";
import { Progress, progressLine, type ProgressReport } from "../../cli/progress.js";
import { putRows, rowsPerTransaction } from "../../cli/put-rows.js";
import { DisconnectedError } from "../../index.js";
import { SimulatedClock } from "../../testing/simulated-clock.js";

async function* chunksOf(text: string, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text);
  let from = 0;
  for (let index = 0; from < bytes.length; index++) {
    const to = from + Math.max(1, sizes[index % Math.max(1, sizes.length)] ?? bytes.length);
    yield bytes.subarray(from, to);
    from = to;
  }
}

async function all(text: string, sizes: readonly number[] = [], fromLine = 1): Promise<readonly NumberedRow[]> {
  const rows: NumberedRow[] = [];
  for await (const row of readRows(chunksOf(text, sizes), fromLine)) rows.push(row);
  return rows;
}

describe("rows of NDJSON", () => {
  test("do not depend on how the bytes are cut into chunks", async () => {
    const text = ["é", "a/ü", "", "last"].map((key) => (key === "" ? "" : rowToLine({ key, value: `väl\n${key}` }))).join("\r\n");
    const whole = await all(text);
    expect(whole.map(({ key, line }) => [key, line])).toEqual([
      ["é", 1],
      ["a/ü", 2],
      ["last", 4],
    ]);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), async (sizes) => {
        expect(await all(text, sizes)).toEqual(whole);
      }),
    );
  });

  test.each([
    ["nonsense", "JSON"],
    ["[]", "it is not an object"],
    ['{"value":1}', 'it has no "key"'],
    ['{"key":"a"}', 'it has no "value"'],
    ['{"key":"a","value":1,"more":2}', '"more" is neither key nor value'],
    ['{"key":"","value":1}', "is empty"],
    ['{"key":"a","value":{"$date":"x"}}', "is no date"],
  ])("%s is refused by the number of its line", async (line, reason) => {
    await expect(all(`{"key":"a","value":1}\n${line}\n`)).rejects.toMatchObject({
      code: "ZOOID_BAD_LINE",
      facts: { line: 2 },
      message: expect.stringContaining(reason) as string,
    });
  });

  test("lines before the requested first line are not parsed", async () => {
    expect(await all('nonsense\n{"key":"a","value":1}', [], 2)).toMatchObject([{ key: "a", line: 2 }]);
  });
});

describe("rows put in transactions", () => {
  const rows = async function* (count: number): AsyncGenerator<NumberedRow> {
    for (let line = 1; line <= count; line++) yield { key: `k${line}`, value: line, line, bytes: 10 };
  };

  test("are stored up to the last line before the first failed transaction", async () => {
    let transactions = 0;
    const store = {
      // The third of four transactions loses its link.
      transact: async (fn: (tx: { put: () => void }) => unknown) => {
        transactions += 1;
        const failing = transactions === 3;
        await fn({ put: () => undefined });
        if (failing) throw new DisconnectedError({ address: "somewhere" });
      },
    };
    const result = await putRows(store, rows(4 * rowsPerTransaction));
    expect(result).toMatchObject({ lastLine: 2 * rowsPerTransaction, error: expect.any(DisconnectedError) as Error });
  });

  test("a transaction whose rows are stored already is skipped", async () => {
    const put: string[] = [];
    const store = {
      transact: async (fn: (tx: { put: (key: string) => void }) => unknown) => void (await fn({ put: (key) => void put.push(key) })),
    };
    const result = await putRows(store, rows(rowsPerTransaction + 1), { isThere: (batch) => batch[0]?.key === "k1" });
    expect(result).toEqual({
      rows: rowsPerTransaction + 1,
      bytes: 10 * (rowsPerTransaction + 1),
      lastLine: rowsPerTransaction + 1,
      error: undefined,
    });
    expect(put).toEqual([`k${rowsPerTransaction + 1}`]);
  });
});

describe("progress", () => {
  test("reports pace and remaining time, at most once per interval", async () => {
    const clock = new SimulatedClock();
    const reports: ProgressReport[] = [];
    const progress = new Progress({ clock, intervalMs: 1_000, bytesTotal: 4_000_000, report: (report) => void reports.push(report) });
    progress.countRows(1_000, 500_000);
    await clock.advance(999);
    progress.countRows(1_000, 500_000);
    expect(reports).toEqual([]);
    await clock.advance(1);
    progress.countRows(0, 0);
    expect(reports.map(progressLine)).toEqual(["2,000 rows, 2,000 rows/s, 1.0 MB/s, 3.0 s left"]);
  });
});
