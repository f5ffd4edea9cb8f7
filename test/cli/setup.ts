import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createActorSystem } from "../../actors/index.js";
import { openLmdbStore, startStorageServer } from "../../server.js";
import { silentLog, systemRandom, systemClock } from "../../core/index.js";
import { createBroker, serveBroker } from "../../transport/index.js";

/** A storage server and its broker in this process. Commands connect over WebSocket. */
export async function openSetup() {
  const folder = await mkdtemp(join(tmpdir(), "zooid-cli-"));
  const seams = { clock: systemClock, random: systemRandom, log: silentLog };
  const broker = createBroker(seams);
  const served = await serveBroker({ broker, port: 0, ...seams });
  const transport = broker.connect();
  const system = createActorSystem({ realm: "zooid", transport, ...seams });
  const server = await startStorageServer({
    realm: "zooid",
    storages: { main: { open: () => openLmdbStore({ folder: join(folder, "main") }) } },
    transport,
    system,
    ...seams,
  });
  return {
    folder,
    url: served.url,
    server,
    close: async () => {
      await server.close();
      system.close();
      await transport.close();
      await served.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
