/**
 * Fills the tier in the folder of its first argument until it is killed, with the history of the bus that
 * `invalidatedAt` defines. After each flush it prints, on standard output, the sequence applied and the number of
 * invalidations queued before the flush.
 */
import { writeSync } from "node:fs";
import { DiskEntryStore } from "../../../storage/results/disk-entries.js";
import { openLmdbStore } from "../../../storage/kv/lmdb-store.js";
import { asTag, silentLog, systemClock } from "../../../core/index.js";
import { epoch, invalidatedAt, tagsOf } from "./entry-history.js";

const folder = process.argv[2] ?? "";
const store = await DiskEntryStore.open({
  name: "test",
  countedBy: "bus",
  open: () => openLmdbStore({ folder, durable: false, bootId: "boot" }),
  clock: systemClock,
  log: silentLog,
  entriesMax: 300,
});
if (store.position === undefined) store.reset({ epoch, sequence: 0, time: 0 });
let queued = store.queued().length;
for (;;) {
  const { sequence } = store.begin();
  for (let next = sequence + 1; next <= sequence + 20; next++) {
    const began = store.begin();
    store.apply(invalidatedAt(next), { sequence: next, time: next });
    // Results that began before the invalidation, or after it.
    for (const [index, known] of [began, store.begin()].entries()) {
      const key = `k${(next * 7 + index * 131) % 400}`;
      store.put(key, { computedAt: known.sequence, padding: "x".repeat(next % 50) }, { tags: tagsOf(key), began: known, ttlMs: 3_600_000 });
    }
  }
  queued++;
  store.queue({ id: `q${queued}`, tag: asTag("elsewhere") });
  const line = `${store.begin().sequence} ${queued}\n`;
  const flushed = store.flush();
  // Further changes happen while the batch is in flight.
  store.apply(invalidatedAt(sequence + 21), { sequence: sequence + 21, time: sequence + 21 });
  await flushed;
  writeSync(1, line);
}
