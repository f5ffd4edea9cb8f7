/**
 * A process that connects to the broker of the first argument, with a cache in the folder of the second one, or in
 * memory. It kills its client while a watcher and a transaction wait, and has nothing else to do.
 */
import { connect } from "../../../index.js";

const [servers = "", folder] = process.argv.slice(2);
const client = await connect({ servers, client: "killed", cache: folder === undefined ? "transient" : { folder } });
await client.put("x", 1);
const change = client.watch("x").next();
const hanging = client.transact(() => new Promise<never>(() => undefined)).catch((error: { code?: string }) => error.code);
client.kill();
process.stdout.write(`${JSON.stringify([(await change).done, await hanging])}\n`);
