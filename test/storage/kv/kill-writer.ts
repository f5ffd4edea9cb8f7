/**
 * Commits without end to a storage in the folder of its first argument, starting with the number in its second, and
 * prints each tid when it is durable.
 * A test kills it. Each commit writes its number under two keys: its own key, and one of a few shared keys.
 */
import { writeSync } from "node:fs";
import { openLmdbStore } from "../../../storage/kv/lmdb-store.js";
import { ObjectStore } from "../../../storage/objects/object-store.js";
import { silentLog, systemClock } from "../../../core/index.js";

const [folder = "", first = "0"] = process.argv.slice(2);
const store = await ObjectStore.open(() => openLmdbStore({ folder }), { storage: "main", log: silentLog, clock: systemClock });
for (let n = Number(first); ;) {
  const batch = store.openBatch();
  const size = 1 + (n % 20);
  for (let index = 0; index < size; index++, n++) {
    const writes = [`own/${n}`, `shared/${n % 40}`].map((key) => ({ key, value: Buffer.from(`${n}`) }));
    const request = { id: `id-${n}`, snapshot: store.position.tid, serializable: true, reads: [], ranges: [], writes };
    batch.validate(request);
    batch.addTransaction(request, systemClock.now());
  }
  await batch.write({ alone: size === 1 });
  writeSync(1, `${n - 1} ${store.position.tid} ${store.position.digest}\n`);
}
