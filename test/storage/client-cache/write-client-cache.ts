/**
 * Fills the client cache in the folder of its first argument, with the history of `cache-history.ts`, until it is
 * killed.
 * After each flush it prints the flushed position on standard output. Second argument: seed.
 */
import { writeSync } from "node:fs";
import { ClientCache } from "../../../storage/client-cache/client-cache.js";
import { openLmdbStore } from "../../../storage/kv/lmdb-store.js";
import { seededRandom, silentLog, systemClock, type Tid } from "../../../core/index.js";
import { historyKeys, positionAt, revisionAt, touchedAt } from "./cache-history.js";

const folder = process.argv[2] ?? "";
const random = seededRandom(Number(process.argv[3]));
const cache = await ClientCache.open({
  storage: "main",
  realm: "test",
  open: () => openLmdbStore({ folder, durable: false, bootId: "boot" }),
  cacheBytesMax: 20_000,
  memoryBytesMax: 5_000,
  log: silentLog,
  clock: systemClock,
});

for (;;) {
  const flushed = cache.flush().then(() => cache.position.tid);
  // Further changes happen while the batch is in flight.
  for (let steps = Math.floor(random.fraction() * 20); steps >= 0; steps--) step();
  await flushed;
  const { tid } = cache.position;
  await cache.flush();
  writeSync(1, `${tid}\n`);
}

function step(): void {
  const ticket = cache.beginLoad(cache.position.tid);
  const next = (cache.position.tid + 1) as Tid;
  cache.apply({ previous: cache.position.tid, ...positionAt(next), keys: touchedAt(next) });
  for (let loads = 0; loads < 5; loads++) {
    const key = historyKeys[Math.floor(random.fraction() * historyKeys.length)] ?? "";
    // Like a load that was answered before the invalidation, or after it.
    const asOf = random.fraction() < 0.5 ? ticket.snapshot : next;
    cache.admit(ticket, key, revisionAt(key, ticket.snapshot, asOf), positionAt(asOf));
  }
  cache.endLoad(ticket);
}
