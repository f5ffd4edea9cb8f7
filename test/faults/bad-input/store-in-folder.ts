/**
 * A storage server, a writing client and a reading client in one process, over an in-process broker, with the data in a
 * folder.
 */
import { openObjectClient } from "../../../actors/client/object-client.js";
import { openLmdbStore, startStorageServer } from "../../../server.js";
import { createBroker } from "../../../transport/in-process.js";
import { type Clock, limits, silentLog, systemRandom, systemClock } from "../../../core/index.js";

export async function connectInProcess(folder: string) {
  const unhandled: string[] = [];
  process.on("unhandledRejection", (reason) => unhandled.push(String(reason)));
  const broker = createBroker();
  const probation = new Set<() => void>();
  // The test ends the write probation, which is half a minute; all other time is the system's.
  const clock: Clock = {
    ...systemClock,
    setTimeout(action, delayMs) {
      if (delayMs !== limits.writeProbationMs) return systemClock.setTimeout(action, delayMs);
      probation.add(action);
      return action;
    },
    clearTimeout(timer) {
      if (!probation.delete(timer as () => void)) systemClock.clearTimeout(timer);
    },
  };
  const seams = { realm: "full", clock, random: systemRandom, log: silentLog };
  const server = await startStorageServer({
    ...seams,
    // The default equals writeProbationMs, so the clock above would hold these timers too.
    transactionTimeoutMs: 10_000,
    transport: broker.connect(),
    heartbeatIntervalMs: 20,
    storages: { main: { open: () => openLmdbStore({ folder }) } },
  });
  const open = (client: string) => openObjectClient({ ...seams, client, storage: "main", cache: undefined, transport: broker.connect() });
  const client = await open("writer");
  const reader = await open("reader");
  return {
    client,
    reader,
    server,
    unhandled,
    endProbation: () => {
      for (const action of [...probation]) action();
    },
    /** Resolves when the client may write. */
    writable: () =>
      new Promise<void>((resolve) => {
        const listen = client.onState((state) => {
          if (state !== "readWrite") return;
          listen();
          resolve();
        });
        if (client.status().state === "readWrite") {
          listen();
          resolve();
        }
      }),
    async close() {
      await client.close();
      await reader.close();
      await server.close();
    },
  };
}
