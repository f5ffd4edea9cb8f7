/**
 * A service over the cities of the world, as a user would write it: an HTTP server that embeds a Zooid client with its
 * own cache on disk, and a cache of computed results. Two such services see each other's changes.
 *
 *     GET   /city/<country>/<admin1>/<name>   one city, and the source of the answer
 *     PUT   the same path                     replaces the city
 *     PATCH the same path                     changes some of its fields
 *     GET   /cities/<country>?limit=20        cities of a country, in the order of their keys
 *     GET   /figures/<country>                figures computed from all cities of a country, cached until one changes
 *     GET   /events                           changes of cities and of the connection, as server-sent events
 *     GET   /state, /health                   the client's machines, position and cache, and the bus of results;
 *                                             200 while it is open
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

/** Time to answer the requests that arrived before the service closes. */
const closeTimeoutMs = 1_000;

/** Two letters, as in the keys; a tag may hold them too. */
const Country = z.string().regex(/^[A-Za-z]{2}$/);

/** Where a service listens, and what it connects to. */
export interface CityServiceOptions {
  /** Name of its client: unique in the realm. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** Folder of its cache, for this service alone. It is made if it is missing. */
  readonly cache: string;
  /** Addresses of the broker, with commas. */
  readonly servers: string;
  readonly realm: string;
  /** Host names that clients may use, beside `localhost` and IP addresses. */
  readonly names?: readonly string[];
  /** Default: nothing is logged. While the start waits for a broker or a server, the process emits a warning. */
  readonly log?: Log;
}

/** A service that runs. */
export interface CityService {
  readonly url: string;
  /** Closes its client, then its HTTP server. The content of the cache stays on disk. */
  close(): Promise<void>;
}

/**
 * Starts a service. Its cache node has the service's name. Rejects with the errors of `connect`, or with Node's error
 * for a port that it cannot listen on.
 */
export async function startCityService({ name, host, port, cache, servers, realm, names, log }: CityServiceOptions): Promise<CityService> {
  // Results in memory need no stream: a node that was cut off from the bus discards them.
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
      // `server.close()` leaves connections open that are busy at that moment. Close them when their response is done.
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
      // Closing the client ends the streams of /events.
      await closeBoth();
      const timer = setTimeout(() => server.closeAllConnections(), closeTimeoutMs);
      await closed;
      clearTimeout(timer);
    },
  };
}

/** Routes of the service, over an open store. */
export function cityRoutes(name: string, store: ObjectClient<CitySchema>, cache: Cache, names: readonly string[] = []): Hono {
  const app = new Hono();
  const figuresOf = cachedFigures(cache, store);

  // A page of another site must not use this service through a visitor's browser, neither under its own origin nor by a
  // DNS name of its own that leads to this address.
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
    // The validator refuses anything that is not a City, before a message is sent.
    return context.json(await written(key, () => store.transact((tx) => tx.put(key, city as City))));
  });

  app.patch("/city/*", async (context) => {
    const key = keyOf(context);
    const fields = City.partial().parse(await context.req.json());
    const change = () =>
      store.transact((tx) =>
        // One transaction reads and writes. It runs again if another client changed the city meanwhile.
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
    // Only the server knows all keys.
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
      const write = (event: object) => stream.writeSSE({ data: JSON.stringify({ ...event, at: now() }) });
      let written = Promise.resolve();
      const writeConnection = () => {
        const { state, isConnected: connected } = store;
        written = write({ type: "connection", state, connected, verification: store.status().verification });
      };
      const forget = store.onState(writeConnection);
      writeConnection();
      try {
        for await (const change of store.watch("city/", { signal: ending.signal })) await write(change);
        await written;
      } catch (error) {
        if (!ending.signal.aborted) throw error;
      } finally {
        forget();
      }
    }),
  );

  app.get("/state", (context) => context.json({ ...store.status(), bus: cache.stats().bus?.type ?? "none" }));
  app.get("/health", (context) => context.json({ name, connection: store.state }));

  app.onError((error, context) => {
    const isBadInput = error instanceof z.ZodError || error instanceof SyntaxError || error instanceof URIError;
    if (isBadInput) return context.json({ error: { message: error.message } }, 400);
    if (!(error instanceof ZooidError)) throw error;
    const { code, message, transient } = error;
    return context.json({ error: { code, message, transient } }, statusOf(error));
  });

  /** Adds to the value of a read: its source (`from`), its transaction (`asOf`), and how long it took. */
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

/** 400 for bad input, 503 for a failure that may pass, 500 for the rest. */
function statusOf(error: ZooidError): 400 | 500 | 503 {
  const isBadInput = [InvalidKeyError, InvalidValueError, SchemaError, TooLargeError].some((each) => error instanceof each);
  if (isBadInput) return 400;
  // While this service closes, another instance can answer.
  return error.transient || error instanceof ClosedError ? 503 : 500;
}

/**
 * The key in a path such as `/city/AD/03/Vila`. Names may hold spaces, slashes and letters of all alphabets. Throws
 * URIError.
 */
function keyOf(context: Context): `city/${string}` {
  return `city/${decodeURIComponent(context.req.path.slice("/city/".length))}`;
}

/** Milliseconds since 1970, with fractions. Processes of one machine can compare them. */
function now(): number {
  return performance.timeOrigin + performance.now();
}

/** Rounded to microseconds, the resolution of the clock. */
function rounded(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}
