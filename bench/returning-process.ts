/** Clients that return all at once with caches of an earlier process, each as far behind as its cache was closed. */
import { execFileSync } from "node:child_process";
import { setPriority } from "node:os";
import { connect, type ObjectClient } from "../index.js";
import { answer, processDetails } from "./process.js";

const { url } = processDetails();
// In production, clients run on other machines. Here they run when the server and its broker leave a processor idle.
setPriority(19);
try {
  execFileSync("chrt", ["--all-tasks", "--idle", "--pid", "0", String(process.pid)], { stdio: "ignore" });
} catch {
  // Not Linux, or without util-linux: the low priority must suffice.
}
let stores: readonly ObjectClient[] = [];

answer({
  /** Opens a client for each folder. Resolves, when all are verified, to how each was verified. */
  comeBack: async (folders: readonly string[]) => {
    stores = await Promise.all(
      folders.map((folder) => connect({ servers: url, realm: "bench", cache: { folder }, waitTimeoutMs: 300_000 })),
    );
    await Promise.all(stores.map((store) => store.connected(300_000)));
    return stores.map((store) => store.status().verification?.how);
  },
  /** Values that the clients read under `key`, as of `tid` or later. */
  read: ({ key, tid }: { readonly key: string; readonly tid: number }) =>
    Promise.all(stores.map(async (store) => (await store.read((reader) => reader.get(key), { after: tid as never })).value)),
  leave: async () => {
    await Promise.all(stores.map((store) => store.close()));
    return true;
  },
});
