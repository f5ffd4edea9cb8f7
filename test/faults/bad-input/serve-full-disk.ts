/**
 * A storage server in the folder of the first argument, with a client that writes until the disk is full. Prints the
 * state then as JSON. Once a line on standard input reports that there is room again, it goes on, and prints the state
 * again.
 */
import { once } from "node:events";
import { connectInProcess } from "./store-in-folder.js";

const [folder = ""] = process.argv.slice(2);
const setup = await connectInProcess(folder);
const { client, reader, server } = setup;

const acknowledged: string[] = [];
const refused: string[] = [];
while (!server.status("main").readOnly) {
  const key = `key/${acknowledged.length + refused.length}`;
  await client.put(key, "x".repeat(2_000)).then(
    () => acknowledged.push(key),
    (error: Error & { readonly code?: string }) => refused.push(error.code ?? String(error)),
  );
}
const late = await client.put("late", 1).then(
  () => "done",
  (error: Error & { readonly code?: string }) => error.code ?? String(error),
);
const whileFull = {
  acknowledged: acknowledged.length,
  refused,
  late,
  there: (await reader.getMany(acknowledged)).filter((value) => typeof value === "string" && value.length === 2_000).length,
  position: server.status("main").position.tid,
  logged: server.status("main").counters["objects"],
};
console.log(JSON.stringify(whileFull));

await once(process.stdin, "data");
setup.endProbation();
await setup.writable();
const tid = await client.put("after", "there is room");
const { value: after } = await reader.read((tx) => tx.get("after"), { after: tid });
console.log(JSON.stringify({ follows: tid > whileFull.position, after, unhandled: setup.unhandled }));
await setup.close();
process.exit(0);
