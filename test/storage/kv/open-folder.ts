/** Opens the folder in its first argument and prints the result on standard output; ends without closing it. */
import { writeSync } from "node:fs";
import { openLmdbStore } from "../../../storage/kv/lmdb-store.js";

const folder = process.argv[2] ?? "";
const answer = await openLmdbStore({ folder }).then(
  () => ({ opened: true }),
  (error: Error) => ({ name: error.name, folder: (error as Error & { facts?: { folder?: string } }).facts?.folder }),
);
writeSync(1, JSON.stringify(answer));
process.exit(0);
