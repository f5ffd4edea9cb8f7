/**
 * A typical Fastify service as a process: cached pages over rows of a database, over objects of a store, and over
 * cached functions. The driver is the database, so that it knows the current versions.
 */
import { setTimeout as pause } from "node:timers/promises";
import compress from "@fastify/compress";
import Fastify, { type FastifyRequest } from "fastify";
import pino from "pino";
import { createCache, tag } from "../../../../cache.js";
import { routeCaching } from "../../../../fastify.js";
import { connect, ZooidError } from "../../../../index.js";
import { answerOf, type Held, type Item, type ItemSchema, keyOf, type Setup } from "./protocol.js";

const { name, servers, folder } = JSON.parse(process.argv[2] ?? "{}") as Setup;

/** A small bound on the disk, so that it is reached, and the oldest pages are evicted, before the memory is judged. */
const diskBytesMax = 48 * 1024 * 1024;
/** Absent objects are cached as well. A small cache is full of them before the memory is judged. */
const objectBytesMax = 128 * 1024;
/**
 * Pages of objects have no time to live. They are large, so that they fill the bound of a route before the memory is
 * judged.
 */
const itemFiller = "i".repeat(48 * 1024);
const rowFiller = "r".repeat(1_500);
const bigFiller = "b".repeat(512 * 1024);
const ttl = 60;

const log = pino({ level: "warn" });
const cache = await createCache({ busUrl: servers, storageUrl: `lmdb:${folder}/results`, lmdbMapSize: diskBytesMax, node: name, log });
const store = await connect<ItemSchema>({
  servers,
  client: name,
  cache: { folder: `${folder}/objects` },
  cacheBytesMax: objectBytesMax,
  memoryBytesMax: objectBytesMax,
  log,
});

/** Current version of a row. 0: there is no such row. */
function readRow(row: string): Promise<number> {
  const number = ++reads;
  return new Promise((resolve) => {
    reading.set(number, resolve);
    process.send?.({ type: "read", number, row });
  });
}
let reads = 0;
const reading = new Map<number, (version: number) => void>();
process.on("message", (message: { readonly type: string; readonly number: number; readonly version: number }) => {
  if (message.type !== "row") return;
  reading.get(message.number)?.(message.version);
  reading.delete(message.number);
});

const rowVersion = cache.cacheable((region: string, row: string) => readRow(`${region}:${row}`), {
  name: "row",
  deps: (region, row) => tag`rows:${region}:${row}`,
  // Clients can ask for any absent row, so such results are not kept for good.
  ttl: (version) => (version === 0 ? ttl : undefined),
});
const figures = cache.cacheable(
  async (region: string) => ({ versions: await Promise.all(Array.from({ length: 20 }, (_, row) => rowVersion(region, String(row)))) }),
  { name: "figures" },
);
const listing = cache.cacheable(
  async (group: string) => {
    const items: Record<string, number> = {};
    await store.read(async (tx) => {
      for await (const [key, { version }] of tx.list(`item/${group}/`, { limit: 100 })) items[key] = version;
    });
    return { items };
  },
  { name: "listing", ttl: (result) => (Object.keys(result.items).length === 0 ? ttl : undefined) },
);

const app = Fastify({ loggerInstance: log });
app.setErrorHandler((error, request, reply) => {
  // As README recommends: an error that another try may solve is not a failure of the service.
  if (error instanceof ZooidError && error.transient) return reply.code(503).send({ code: error.code });
  const { statusCode = 500 } = error as { readonly statusCode?: number };
  if (statusCode >= 500)
    request.log.error({ error: String(error instanceof Error ? error.stack : error), url: request.url }, "a request failed");
  return reply.code(statusCode).send({ code: "failed" });
});
await app.register(compress);
await app.register(routeCaching, { cache, cacheStatus: "zooid" });

interface RowRequest {
  readonly region: string;
  readonly row: string;
}
interface ItemRequest {
  readonly group: string;
  readonly item: string;
}
const rowTag = (request: FastifyRequest) => tag`rows:${(request.params as RowRequest).region}:${(request.params as RowRequest).row}`;

async function rowPage({ region, row }: RowRequest, filler: string) {
  const version = await rowVersion(region, row);
  return version === 0 ? undefined : { row: `${region}:${row}`, version, filler };
}

app.get<{ Params: RowRequest }>("/page/:region/:row", { config: { cache: { ttl, tags: rowTag } } }, async (request, reply) => {
  const page = await rowPage(request.params, rowFiller);
  return page ?? reply.code(404).send({ row: `${request.params.region}:${request.params.row}` });
});
const schema = {
  querystring: { type: "object", properties: { page: { type: "integer" } }, additionalProperties: false },
} as const;
app.get<{ Params: RowRequest }>("/strict/:region/:row", { schema, config: { cache: { tags: rowTag } } }, async (request, reply) => {
  const page = await rowPage(request.params, rowFiller);
  return page ?? reply.code(404).send({ row: "none" });
});
app.get<{ Params: RowRequest }>("/big/:region/:row", { config: { cache: { ttl, tags: rowTag } } }, async ({ params }, reply) => {
  const page = await rowPage(params, bigFiller);
  return page ?? reply.code(404).send({ row: "none" });
});
app.get<{ Params: { readonly region: string } }>("/figures/:region", { config: { cache: true } }, ({ params }) => figures(params.region));

async function itemPage(params: ItemRequest, maxStaleMs?: number): Promise<Item | undefined> {
  const { value } = await store.read((tx) => tx.get(keyOf(params.group, params.item)), { maxStaleMs });
  return value;
}
app.get<{ Params: ItemRequest }>("/item/:group/:item", { config: { cache: true } }, async ({ params }, reply) => {
  const item = await itemPage(params);
  return item === undefined ? reply.code(404).send({ item: "none" }) : { version: item.version, filler: itemFiller };
});
app.get<{ Params: ItemRequest }>("/fresh/:group/:item", { config: { cache: { ttl } } }, async ({ params }, reply) => {
  const item = await itemPage(params, 5_000);
  return item === undefined ? reply.code(404).send({ item: "none" }) : { version: item.version };
});
app.get<{ Params: { readonly group: string } }>("/list/:group", { config: { cache: { ttl } } }, ({ params }) => listing(params.group));
app.put<{ Params: ItemRequest }>("/item/:group/:item", async ({ params }) => {
  const { value, tid } = await store.update(keyOf(params.group, params.item), (item) => ({
    version: (item?.version ?? 0) + 1,
    filler: "",
  }));
  return { version: value?.version, tid };
});

app.get("/me", { config: { cache: { ttl } } }, ({ headers }) => ({ who: headers.authorization ?? headers.cookie ?? "anonymous" }));
app.get("/language", { config: { cache: { ttl, vary: ["accept-language"] } } }, ({ headers }) => ({
  language: headers["accept-language"] ?? "none",
}));
app.get<{ Params: { readonly text: string } }>("/note/:text", ({ params: { text } }) =>
  cache.getOrSet(`note:${text}`, async () => ({ text }), { ttl, tags: tag`notes:${text}` }),
);
app.get("/slow", { config: { cache: { ttl } } }, async () => {
  await pause(50);
  return { slow: true };
});
app.get("/events", (_request, reply) => {
  const ending = new AbortController();
  const { raw } = reply.hijack();
  raw.once("close", () => ending.abort());
  raw.writeHead(200, { "content-type": "text/event-stream" });
  const follow = async () => {
    for await (const change of store.watch("item/", { signal: ending.signal })) raw.write(`data: ${JSON.stringify(change)}\n\n`);
  };
  follow().catch((error: unknown) => {
    if (!ending.signal.aborted) raw.destroy(error instanceof Error ? error : new Error(String(error)));
  });
});
app.post<{ Body: { readonly tags: readonly string[] } }>("/invalidate", async ({ body }) => ({
  publication: await cache.invalidate(body.tags),
}));

const url = await app.listen({ host: "127.0.0.1", port: 0 });
process.once("SIGTERM", () => {
  // Not awaited. The driver waits until the process ends, which needs all handles to be closed.
  void app.close().then(() => Promise.all([store.close(), cache.close()]));
});
process.channel?.unref();
process.on("message", ({ type, number }: { readonly type: string; readonly number: number }) => {
  if (type !== "held") return;
  const { entries: results, tags } = cache.stats();
  const held: Held = { results, tags };
  process.send?.(answerOf(number, { held }));
});
process.stdout.write(`${JSON.stringify({ event: "ready", url })}\n`);
