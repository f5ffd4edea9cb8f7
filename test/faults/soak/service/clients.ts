/** Many clients of the object store in one process. They come and go as the driver says. */
import { join } from "node:path";
import pino from "pino";
import { connect, type ObjectClient, ZooidError } from "../../../../index.js";
import { answerOf, type ItemSchema, type Setup, type Step, type StepResult, type Visit, type VisitAnswer } from "./protocol.js";

const { name, servers, folder } = JSON.parse(process.argv[2] ?? "{}") as Setup;
const log = pino({ level: "warn" });

async function visit({ client, keepsCache, steps, end }: Visit): Promise<VisitAnswer> {
  let store: ObjectClient<ItemSchema>;
  try {
    const cache = keepsCache ? { folder: join(folder, String(client)) } : ("transient" as const);
    store = await connect<ItemSchema>({ servers, client: `${name}-${client}`, cache, log });
  } catch (error) {
    return { results: [], opening: failureOf(error) };
  }
  const results: StepResult[] = [];
  for (const step of steps) results.push(await done(store, step));
  if (end === "kill") store.kill();
  await store.close();
  return { results };
}

async function done(store: ObjectClient<ItemSchema>, step: Step): Promise<StepResult> {
  try {
    if (step.type === "commit") {
      const { value } = await store.update(step.key, (item) => ({ version: (item?.version ?? 0) + 1, filler: "c".repeat(200) }));
      return { version: value?.version ?? 0 };
    }
    const { value } = await store.read((tx) => tx.get(step.key), { serverSync: step.how === "sync" });
    return { version: value?.version ?? 0 };
  } catch (error) {
    return { failure: failureOf(error) };
  }
}

function failureOf(error: unknown): NonNullable<StepResult["failure"]> {
  if (error instanceof ZooidError) return { code: error.code, isTransient: error.transient };
  return { code: error instanceof Error ? String(error.stack) : String(error), isTransient: false };
}

process.on("message", (message: Visit & { readonly number: number }) => {
  if (message.type !== "visit") return;
  // An error outside of a step is unhandled and ends this process, which the driver reports as wrong.
  void visit(message).then((answer) => process.send?.(answerOf(message.number, answer)));
});
process.channel?.ref();
// The process ends when its clients have closed all their handles.
process.once("SIGTERM", () => process.channel?.unref());
process.stdout.write(`${JSON.stringify({ event: "ready" })}\n`);
