/**
 * A service over the cities of the world, as one would write it: an HTTP server that embeds a Zooid client with a cache of
 * its own on disk. Two of them stay true to each other.
 *
 *     PORT=4281 NAME=A CACHE=.zooid/city-service node dist/examples/city-service.js
 *
 *     GET   /city/<country>/<admin1>/<name>   one city, and where the answer came from
 *     PUT   the same, PATCH the same          the whole city; some of its fields
 *     GET   /cities/<country>?limit=20        cities of a country, in the order of their keys
 *     GET   /events                           what changes and how the connection goes, as server-sent events
 *     GET   /state, /health                   the client's machines, position and cache; 200 while it is open
 */
import { mkdirSync } from "node:fs";
import process from "node:process";
import { serve } from "@hono/node-server";
import { type Context, Hono } from "hono";
import { streamSSE } from "hono/streaming";
import { z } from "zod";
import { connect, type ReadResult, tidToMs, ZooidError } from "../index.js";

const City = z.strictObject({
  name: z.string().min(1),
  country: z.string().length(2),
  admin1: z.string(),
  latitude: z.number().min(-90).max(90),
  longitude: z.number().min(-180).max(180),
  note: z.string().optional(),
});
type City = z.infer<typeof City>;

/** Which keys there are, and what is stored under them. */
interface Schema {
  [key: `city/${string}`]: City;
}

const settings = z
  .object({
    NAME: z.string().default("city-service"),
    HOST: z.string().default("127.0.0.1"),
    PORT: z.coerce.number().int().min(1).max(65_535).default(4281),
    CACHE: z.string().default(".zooid/city-service"),
    ZOOID_SERVERS: z.string().default("nats://127.0.0.1:4222"),
    ZOOID_REALM: z.string().default("zooid"),
  })
  .parse(process.env);

mkdirSync(settings.CACHE, { recursive: true });
const store = await connect<Schema>({
  servers: settings.ZOOID_SERVERS,
  realm: settings.ZOOID_REALM,
  client: settings.NAME,
  cache: { folder: settings.CACHE },
  schemas: { "city/*": City },
});

const app = new Hono();

app.get("/city/*", async (context) => {
  const key = keyOf(context);
  const { value: city, ...read } = await timed(() => store.read((tx) => tx.get(key)));
  if (city === undefined) return context.json({ key, ...read, error: { message: "no such city" } }, 404);
  return context.json({ key, city, ...read });
});

app.put("/city/*", async (context) => {
  const key = keyOf(context);
  const city: unknown = await context.req.json();
  // What is no City is refused by the validator, before anything is sent.
  return context.json(await written(key, () => store.transact((tx) => tx.put(key, city as City))));
});

app.patch("/city/*", async (context) => {
  const key = keyOf(context);
  const fields = City.partial().parse(await context.req.json());
  const change = () =>
    store.transact((tx) =>
      // Read and written in one transaction: it runs again when somebody else was faster.
      tx.update(key, (city) => (city === undefined ? undefined : void Object.assign(city, fields))),
    );
  const answer = await written(key, change);
  return answer.city === undefined ? context.json({ key, error: { message: "no such city" } }, 404) : context.json(answer);
});

app.get("/cities/:country", async (context) => {
  const limit = z.coerce.number().int().min(1).max(1_000).default(20).parse(context.req.query("limit"));
  const cities: { key: string; city: City }[] = [];
  const { value: _, ...read } = await timed(() =>
    store.read(async (tx) => {
      for await (const [key, city] of tx.list(`city/${context.req.param("country")}/`, { limit })) cities.push({ key, city });
    }),
  );
  // Which keys there are only the server knows.
  return context.json({ cities, ...read, from: "server" });
});

app.get("/events", (context) =>
  streamSSE(context, async (stream) => {
    const ending = new AbortController();
    stream.onAbort(() => ending.abort());
    const tell = (event: object) => stream.writeSSE({ data: JSON.stringify({ ...event, at: now() }) });
    const tellConnection = () =>
      void tell({ type: "connection", state: store.state, connected: store.isConnected, verification: store.status().verification });
    const forget = store.onState(tellConnection);
    ending.signal.addEventListener("abort", forget);
    tellConnection();
    try {
      for await (const change of store.watch("city/", { signal: ending.signal })) await tell(change);
    } catch (error) {
      if (!ending.signal.aborted) throw error;
    }
  }),
);

app.get("/state", (context) => context.json(store.status()));
app.get("/health", (context) => context.json({ name: settings.NAME, connection: store.state }));

app.onError((error, context) => {
  if (error instanceof z.ZodError || error instanceof SyntaxError) return context.json({ error: { message: error.message } }, 400);
  if (!(error instanceof ZooidError)) throw error;
  const { code, message, transient } = error;
  return context.json({ error: { code, message, transient } }, transient ? 503 : 400);
});

/** `/city/AD/03/Vila` is the key of that city: names may hold spaces, slashes and letters of all alphabets. */
function keyOf(context: Context): `city/${string}` {
  return `city/${decodeURIComponent(context.req.path.slice("/city/".length))}`;
}

/** What a read says of itself beside its value: from where, as of when, how long. */
async function timed<T>(read: () => Promise<ReadResult<T>>) {
  const startMs = performance.now();
  const { value, asOf, connected, loads } = await read();
  const time = new Date(tidToMs(asOf)).toISOString();
  const from = loads === 0 ? "cache" : "server";
  return { value, from, asOf: { tid: asOf, time }, connected, connection: store.state, ms: performance.now() - startMs };
}

async function written(key: string, write: () => Promise<{ value: City | void; tid: number }>) {
  const startMs = performance.now();
  const { value: city, tid } = await write();
  return { key, city, tid, at: now(), ms: performance.now() - startMs, connection: store.state };
}

/** Milliseconds since 1970 with fractions, comparable between processes of one machine. */
function now(): number {
  return performance.timeOrigin + performance.now();
}

const server = serve({ fetch: app.fetch, hostname: settings.HOST, port: settings.PORT }, ({ address, port }) => {
  console.log(JSON.stringify({ event: "ready", name: settings.NAME, url: `http://${address}:${port}` }));
});
server.on("error", (error) => {
  console.error(`city-service: ${error.message}`);
  process.exit(1);
});

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.once(signal, () => {
    server.close();
    if ("closeAllConnections" in server) server.closeAllConnections();
    void store.close();
  });
}
