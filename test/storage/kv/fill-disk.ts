/**
 * Commits to a storage in the folder of its first argument until the disk is full, opens the storage again, and prints
 * the result as JSON.
 * The second argument says whether each batch is written alone, the third one how often it then opens the storage again
 * and tries to commit, as a server does that waits for room.
 */
import { openLmdbStore } from "../../../storage/kv/lmdb-store.js";
import { ObjectStore } from "../../../storage/objects/object-store.js";
import { silentLog, systemClock, type Tid, WriteInDoubtError } from "../../../core/index.js";

const [folder = "", how, retries = "0"] = process.argv.slice(2);
const unhandled: string[] = [];
process.on("unhandledRejection", (reason) => unhandled.push(String(reason)));

const store = await ObjectStore.open(() => openLmdbStore({ folder }), { storage: "main", log: silentLog, clock: systemClock });
const commit = async (n: number): Promise<Tid> => {
  const batch = store.openBatch();
  const writes = [{ key: `key/${n}`, value: Buffer.alloc(2_000, 1) }];
  batch.addTransaction(
    { id: `id-${n}`, snapshot: store.position.tid, serializable: true, reads: [], ranges: [], writes },
    systemClock.now(),
  );
  await batch.write({ alone: how === "alone" });
  return store.position.tid;
};

const acknowledged: Tid[] = [];
const errors: string[] = [];
const note = (error: unknown): void => {
  errors.push(error instanceof Error ? error.name : String(error));
};
while (errors.length === 0) await commit(acknowledged.length).then((tid) => acknowledged.push(tid), note);
await commit(acknowledged.length).catch(note);

for (let count = 0; count < Number(retries); count++) {
  await store.reopen();
  await commit(acknowledged.length).catch(note);
}
const reopened = await store.reopen();
const chain = store.transactionsAfter(0 as Tid, 1_000_000, 1_000_000);
const values = acknowledged.map((_, n) => store.load(`key/${n}`, reopened.tid).value?.length);
await store.close();
await new Promise((resolve) => setImmediate(resolve));
console.log(
  JSON.stringify({
    acknowledged: acknowledged.length,
    inDoubt: errors.every((name) => name === WriteInDoubtError.name),
    unhandled,
    isWhole: chain.whole && acknowledged.every((tid, n) => chain.transactions[n]?.tid === tid),
    surplus: chain.transactions.length - acknowledged.length,
    valuesThere: values.filter((length) => length === 2_000).length,
  }),
);
