/** A storage server over NATS, with its objects in LMDB, as in a deployment. */
import { join } from "node:path";
import { createActorSystem } from "../actors/index.js";
import { openLmdbStore, startStorageServer } from "../server.js";
import { silentLog, systemRandom, systemClock } from "../core/index.js";
import { openTransport } from "../transport/index.js";
import { answer, processDetails } from "./process.js";

const { url, folder } = processDetails();
const seams = { clock: systemClock, random: systemRandom, log: silentLog };
const transport = await openTransport({ servers: url, ...seams });
const system = createActorSystem({ realm: "bench", transport, ...seams });
await startStorageServer({
  realm: "bench",
  system,
  storages: { main: { open: () => openLmdbStore({ folder: join(folder, "server") }) } },
  transport,
  ...seams,
});
await transport.flush();
answer({
  /** Whether another process watches the actors of this one. */
  isRecorded: () => system.notes.isRecording,
});
