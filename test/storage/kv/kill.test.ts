import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, expect, test } from "vitest";
import { openLmdbStore } from "../../../storage/kv/lmdb-store.js";
import { digestAfter, ObjectStore } from "../../../storage/objects/object-store.js";
import type { Position } from "../../../core/transaction.js";
import { seededRandom, silentLog, systemClock, type Tid, tidZero } from "../../../core/index.js";
import { temporaryFolders } from "../../support/temporary-folder.js";

const makeFolder = temporaryFolders();
const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

const rounds = 10;
const seed = Number(process.env["ZOOID_TEST_SEED"] ?? Date.now() % 1_000_000);

/**
 * Runs a writer until it has printed `lineCount` durable batches, kills it at once, and returns the last printed line.
 */
async function writeUntilKilled(
  folder: string,
  from: number,
  lineCount: number,
): Promise<readonly [last: number, tid: number, digest: string]> {
  const writer = spawn(process.execPath, ["--import", "tsx", join(import.meta.dirname, "kill-writer.ts"), folder, `${from}`], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(writer);
  const gone = once(writer, "exit");
  let lines = 0;
  let lastLine = "";
  for await (const line of createInterface({ input: writer.stdout })) {
    lastLine = line;
    lines += 1;
    if (lines === lineCount) writer.kill("SIGKILL");
  }
  expect(await gone, "the kill ended the writer").toEqual([null, "SIGKILL"]);
  const [last = "", tid = "", digest = ""] = lastLine.split(" ");
  return [Number(last), Number(tid), digest];
}

test(`acknowledged commits survive kill -9, complete and in one chain (ZOOID_TEST_SEED=${seed})`, { timeout: 60_000 }, async () => {
  const folder = await makeFolder();
  const random = seededRandom(seed);
  let from = 0;
  for (let round = 0; round < rounds; round++) {
    const [last, tid, digest] = await writeUntilKilled(folder, from, 5 + Math.floor(random.fraction() * 40));
    const store = await ObjectStore.open(() => openLmdbStore({ folder }), { storage: "main", log: silentLog, clock: systemClock });
    try {
      expect(store.digestAt(tid as Tid)).toBe(digest);
      const { transactions, whole } = store.transactionsAfter(tidZero, 1_000_000, 10_000_000);
      expect(whole).toBe(true);
      // The last batches may be durable but not printed.
      expect(transactions.length).toBeGreaterThan(last);
      // Plain comparisons: an `expect` for each would take longer than all the writing.
      const wrong: string[] = [];
      const check = (holds: boolean, what: string): void => {
        if (!holds) wrong.push(what);
      };
      let previous: Position = { tid: tidZero, digest: "0".repeat(16) };
      for (const [n, transaction] of transactions.entries()) {
        const { id, tid: serial } = transaction;
        check(transaction.previous === previous.tid, `${id} follows the one before`);
        check(transaction.digest === digestAfter(previous.digest, `id-${n}`, serial), `${id} carries the digest`);
        const outcome = store.outcome(id);
        check(outcome?.type === "committed" && outcome.tid === serial, `${id} is known`);
        const own = store.load(`own/${n}`, store.position.tid);
        check(own.serial === serial && String(own.value) === `${n}` && own.next === undefined, `${id} wrote its own key`);
        const shared = store.load(`shared/${n % 40}`, serial);
        check(shared.serial === serial && String(shared.value) === `${n}`, `${id} wrote its shared key`);
        check(shared.next === transactions[n + 40]?.tid, `${id} was replaced by the next transaction that wrote the shared key`);
        previous = transaction;
      }
      expect(wrong).toEqual([]);
      expect(store.stats().objects).toBe(transactions.length + Math.min(40, transactions.length));
      from = transactions.length;
    } finally {
      await store.close();
    }
  }
});
