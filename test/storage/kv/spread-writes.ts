/**
 * Fills a store in the folder of its first argument with small values, then changes one key of each page in one batch,
 * until this fails. Prints the code of the cause as JSON.
 */
import { openLmdbStore } from "../../../storage/kv/lmdb-store.js";
import { WriteInDoubtError } from "../../../core/index.js";

const [folder = ""] = process.argv.slice(2);
const store = await openLmdbStore({ folder });
const keyOf = (n: number) => new TextEncoder().encode(`key/${String(n).padStart(6, "0")}`);
const keys = Array.from({ length: 20_000 }, (_, n) => keyOf(n));
for (let from = 0; from < keys.length; from += 50) {
  await store.batch(keys.slice(from, from + 50).map((key) => ({ key, value: new Uint8Array(100) })));
}

// A page of 4,096 bytes holds about 30 of these entries.
const spread = keys.filter((_, n) => n % 30 === 0);
let code: unknown;
while (code === undefined) {
  const batch = store.batch(
    spread.map((key) => ({ key, value: new Uint8Array(100) })),
    { alone: true },
  );
  await batch?.catch((error: unknown) => {
    if (!(error instanceof WriteInDoubtError)) throw error;
    code = (error.cause as { code?: unknown }).code;
  });
}
process.stdout.write(JSON.stringify({ code }));
