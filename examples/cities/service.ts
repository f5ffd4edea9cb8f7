/**
 * A service over the cities of the world, as one would write it: an HTTP server that embeds a Zooid client with a cache of
 * its own on disk, and a cache of what it computes. Two of them stay true to each other.
 *
 *     GET   /city/<country>/<admin1>/<name>   one city, and where the answer came from
 *     PUT   the same, PATCH the same          the whole city; some of its fields
 *     GET   /cities/<country>?limit=20        cities of a country, in the order of their keys
 *     GET   /figures/<country>                figures computed from all cities of a country, cached until one of them changes
 *     GET   /events                           what changes and how the connection goes, as server-sent events
 *     GET   /state, /health                   the client's machines, position and cache; 200 while it is open
 */
import { once } from "node:events";
import type { Server } from "node:http";
import { isIP } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { streamSSE } from "hono/streaming";
import { z } from "zod";
import { type Cache, createCache } from "../../cache.js";
import {
  ClosedError,
  connect,
  InvalidKeyError,
  InvalidValueError,
  type Log,
  type ObjectClient,
  type ReadResult,
  SchemaError,
  tidToMs,
  TooLargeError,
  ZooidError,
} from "../../index.js";
import { cachedFigures } from "./figures.js";
import { City, type CitySchema } from "./schema.js";

/** A city takes some hundred bytes. */
const bodyBytesMax = 64 * 1024;

/** Time for what was asked before the end to be answered. */
const closeTimeoutMs = 1_000;

/** As the keys have it: two letters, which a tag may hold too. */
const Country = z.string().regex(/^[A-Za-z]{2}$/);

/** Where a service listens, and what it connects to. */
export interface CityServiceOptions {
  /** Name of its client: unique in the realm. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** Folder of its cache: of this service alone. Made if it is not there. */
  readonly cache: string;
  /** Addresses of the broker, with commas. */
  readonly servers: string;
  readonly realm: string;
  /** Names that clients may call it by, beside `localhost` and IP addresses. */
  readonly names?: readonly string[];
  /** Default: nothing is logged, and what it waits for at its start is a warning of the process. */
  readonly log?: Log;
}

/** A service that answers. */
export interface CityService {
  readonly url: string;
  /** Closes its client, then its HTTP server. What the cache holds stays on disk. */
  close(): Promise<void>;
}

/** Starts a service; its caches are called as it is. Rejects with what `connect` rejects with, or with the error of a port that cannot be listened at. */
export async function startCityService({ name, host, port, cache, servers, realm, names, log }: CityServiceOptions): Promise<CityService> {
  // No stream is needed for results in memory: whoever was cut off from the bus discards them.
  const results = await createCache({ busUrl: servers, busKind: "nats", prefix: realm, node: name, log });
  let store: ObjectClient<CitySchema>;
  try {
    store = await connect<CitySchema>({ servers, realm, client: name, cache: { folder: cache }, schemas: { "city/*": City }, log });
  } catch (error) {
    await results.close();
    throw error;
  }
  const closeBoth = async () => {
    await Promise.all([store.close(), results.close()]);
  };
  const server = createAdaptorServer({ fetch: cityRoutes(name, store, results, names).fetch }) as Server;
  server.on("request", (_, response) => {
    response.once("close", () => {
      // Nobody asks again on a connection that was busy when the server closed.
      if (!server.listening) server.closeIdleConnections();
    });
  });
  try {
    await once(server.listen(port, host), "listening");
  } catch (error) {
    await closeBoth();
    throw error;
  }
  return {
    url: `http://${host}:${port}`,
    close: async () => {
      const closed = once(server, "close");
      server.close();
      // Whoever listens to events is told, and let go, by the client that closes.
      await closeBoth();
      const timer = setTimeout(() => server.closeAllConnections(), closeTimeoutMs);
      await closed;
      clearTimeout(timer);
    },
  };
}

/** What the service answers, over a store that is open. */
export function cityRoutes(name: string, store: ObjectClient<CitySchema>, cache: Cache, names: readonly string[] = []): Hono {
  const app = new Hono();
  const figuresOf = cachedFigures(cache, store);

  // A page of another site must not use it from a browser that can reach it, neither as itself nor by a name of its own for our address.
  app.use(async (context, next) => {
    const { host, hostname } = new URL(context.req.url);
    const origin = context.req.header("origin");
    const isKnown = hostname === "localhost" || isIP(hostname.replace(/^\[|\]$/g, "")) !== 0 || names.includes(hostname);
    if (isKnown && (origin === undefined || origin === `http://${host}`)) return next();
    return context.json({ error: { message: "this service is not for pages of other sites" } }, 403);
  });
  const onError = (context: Context) => context.json({ error: { message: `a body has at most ${bodyBytesMax} bytes` } }, 413);
  app.use(bodyLimit({ maxSize: bodyBytesMax, onError }));

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

  app.get("/figures/:country", async (context) => {
    const country = Country.parse(context.req.param("country"));
    const startMs = now();
    const figures = await figuresOf(country);
    if (figures === undefined) return context.json({ country, error: { message: "no cities" } }, 404);
    const from = figures.computed.at < startMs ? "cache" : "computed";
    return context.json({ ...figures, from, ms: rounded(now() - startMs), at: now() });
  });

  app.get("/events", (context) =>
    streamSSE(context, async (stream) => {
      const ending = new AbortController();
      stream.onAbort(() => ending.abort());
      const tell = (event: object) => stream.writeSSE({ data: JSON.stringify({ ...event, at: now() }) });
      let told = Promise.resolve();
      const tellConnection = () => {
        const { state, isConnected: connected } = store;
        told = tell({ type: "connection", state, connected, verification: store.status().verification });
      };
      const forget = store.onState(tellConnection);
      tellConnection();
      try {
        for await (const change of store.watch("city/", { signal: ending.signal })) await tell(change);
        await told;
      } catch (error) {
        if (!ending.signal.aborted) throw error;
      } finally {
        forget();
      }
    }),
  );

  app.get("/state", (context) => context.json(store.status()));
  app.get("/health", (context) => context.json({ name, connection: store.state }));

  app.onError((error, context) => {
    const isBadInput = error instanceof z.ZodError || error instanceof SyntaxError || error instanceof URIError;
    if (isBadInput) return context.json({ error: { message: error.message } }, 400);
    if (!(error instanceof ZooidError)) throw error;
    const { code, message, transient } = error;
    return context.json({ error: { code, message, transient } }, statusOf(error));
  });

  /** What a read says of itself beside its value: from where, as of when, how long. */
  async function timed<T>(read: () => Promise<ReadResult<T>>) {
    const startMs = performance.now();
    const { value, asOf, connected, loads } = await read();
    const time = new Date(tidToMs(asOf)).toISOString();
    const from = loads === 0 ? "cache" : "server";
    return { value, from, asOf: { tid: asOf, time }, connected, connection: store.state, ms: rounded(performance.now() - startMs) };
  }

  async function written(key: string, write: () => Promise<{ value: City | void; tid: number }>) {
    const startMs = performance.now();
    const { value: city, tid } = await write();
    return { key, city, tid, at: now(), ms: rounded(performance.now() - startMs), connection: store.state };
  }

  return app;
}

/** Whose fault it is: that of who asked, nobody's for long, or ours. */
function statusOf(error: ZooidError): 400 | 500 | 503 {
  const isBadInput = [InvalidKeyError, InvalidValueError, SchemaError, TooLargeError].some((each) => error instanceof each);
  if (isBadInput) return 400;
  // A service that ends is another one's turn.
  return error.transient || error instanceof ClosedError ? 503 : 500;
}

/** `/city/AD/03/Vila` is the key of that city: names may hold spaces, slashes and letters of all alphabets. Throws URIError. */
function keyOf(context: Context): `city/${string}` {
  return `city/${decodeURIComponent(context.req.path.slice("/city/".length))}`;
}

/** Milliseconds since 1970 with fractions, comparable between processes of one machine. */
function now(): number {
  return performance.timeOrigin + performance.now();
}

/** To microseconds: the clock tells no more. */
function rounded(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}
