/** A process that commits to storage `main` until it is killed. Arguments: the broker, its name. */
import { connect, type ObjectClient } from "../../index.js";

const [servers = "", client = ""] = process.argv.slice(2);
const objects: ObjectClient = await connect({ servers, client, cache: "transient", heartbeatTimeoutMs: "1s", requestTimeoutMs: "500ms" });
process.stdout.write("ready\n");
for (let number = 0; ; number++) {
  // A commit fails while there is no server.
  await objects.transact((tx) => tx.put(`${client}/number`, number)).catch(() => undefined);
  await new Promise((resolve) => setTimeout(resolve, 50));
}
