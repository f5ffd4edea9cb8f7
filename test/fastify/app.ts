import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import Fastify, { type FastifyInstance } from "fastify";
import { onTestFinished } from "vitest";
import type { Cache, CacheOptions } from "../../cache.js";
import { routeCaching, type RouteCachingOptions } from "../../fastify.js";
import type { SimulatedClock } from "../../testing/simulated-clock.js";
import { openCache } from "../actors/cache/open.js";

/** A complete response. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A listening server, and its client. */
export interface Served {
  readonly app: FastifyInstance;
  readonly cache: Cache;
  readonly clock: SimulatedClock;
  readonly url: string;
  readonly get: (path: string, headers?: Record<string, string>, method?: string, body?: string) => Promise<Answer>;
}

/** Serves routes with a cache of their own over real HTTP. `before` is called before the plug-in is registered. */
export async function serve(
  routes: (app: FastifyInstance, cache: Cache) => unknown,
  options: RouteCachingOptions & { readonly open?: CacheOptions; readonly before?: (app: FastifyInstance) => unknown } = {},
): Promise<Served> {
  const { open, before, ...caching } = options;
  const { cache, clock } = await openCache(open);
  const app = Fastify({ forceCloseConnections: true });
  onTestFinished(() => app.close());
  await before?.(app);
  await app.register(routeCaching, { cache, clock, cacheStatus: "zooid", ...caching });
  await routes(app, cache);
  const url = await app.listen({ port: 0, host: "127.0.0.1" });
  return { app, cache, clock, url, get: (path, headers, method, body) => ask(url + path, headers, method, body) };
}

/** Sends one request, on a connection of its own. */
export function ask(url: string, headers: Record<string, string> = {}, method = "GET", body?: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(url, { method, headers, agent: false }, (response) => {
      const parts: Buffer[] = [];
      response.on("data", (part: Buffer) => parts.push(part));
      response.on("error", reject);
      response.on("end", () => {
        resolve({ status: Number(response.statusCode), headers: response.headers, body: Buffer.concat(parts).toString() });
      });
    });
    sent.on("error", reject);
    sent.end(body);
  });
}
