import { brotliDecompressSync, gunzipSync } from "node:zlib";
import type { FastifyInstance } from "fastify";
import { expect, test } from "vitest";
import { createCache } from "../../cache.js";
import { SimulatedClock } from "../../testing/simulated-clock.js";
import { type Random, seededRandom } from "../../core/index.js";
import { listedNames, namesEtag } from "../../fastify/http-fields.js";
import { pairOf, paths } from "./differential-app.js";

interface Asked {
  readonly method: "GET" | "HEAD";
  readonly url: string;
  readonly headers: Record<string, string>;
}

interface Answer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly raw: string;
  /** Decoded, without its content coding. */
  readonly text: string;
}

async function answerOf(app: FastifyInstance, asked: Asked): Promise<Answer> {
  const { statusCode, headers, rawPayload } = await app.inject(asked);
  const fields = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
  const coding = rawPayload.length === 0 ? undefined : fields["content-encoding"];
  const decoded = coding === "gzip" ? gunzipSync(rawPayload) : coding === "br" ? brotliDecompressSync(rawPayload) : rawPayload;
  return { status: statusCode, headers: fields, raw: rawPayload.toString("base64"), text: decoded.toString() };
}

/** `etags` holds the entity tags of earlier answers, by URL. */
function requestOf(random: Random, names: readonly string[], etags: ReadonlyMap<string, readonly string[]>): Asked {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random.fraction() * list.length)] as T;
  const url = `/${pick(names)}/${pick(["1", "2"])}${pick(["", "", "", "?page=2&x=1", "?x=1&page=2"])}`;
  const headers: Record<string, string | undefined> = {
    "accept-language": pick([undefined, "en", "fr"]),
    "x-user": pick([undefined, undefined, "a", "b"]),
    origin: pick([undefined, "http://one.example", "http://two.example", "http://three.example"]),
    "accept-encoding": pick([undefined, "gzip", "gzip, br", "identity"]),
    "if-none-match": pick([undefined, undefined, '"nothing"', ...(etags.get(url) ?? []).slice(-6)]),
    range: pick([undefined, undefined, undefined, undefined, undefined, undefined, undefined, "bytes=0-3"]),
    "x-denied": pick([undefined, undefined, undefined, undefined, undefined, undefined, undefined, "1"]),
    "x-failing": pick([undefined, undefined, undefined, undefined, undefined, undefined, undefined, "1"]),
  };
  return {
    method: pick(["GET", "GET", "GET", "HEAD"]),
    url,
    headers: Object.fromEntries(Object.entries(headers).filter((entry): entry is [string, string] => entry[1] !== undefined)),
  };
}

const sameFields = [
  "content-type",
  "content-encoding",
  "location",
  "set-cookie",
  "access-control-allow-origin",
  "access-control-allow-credentials",
  "x-seen",
  "x-hook",
  "x-language",
  "content-length",
];

/** By URL and entity tag: the text that came with any tag, and the bytes that came with a strong tag. */
interface Tagged {
  readonly texts: Map<string, string>;
  readonly bytes: Map<string, string>;
}

/** An entity tag without the mark `W/`. */
const opaque = (etag: string): string => etag.replace(/^W\//, "");

/** Describes the first fault in the answer of the app with a cache; undefined when there is none. */
function difference(asked: Asked, cached: Answer, plain: Answer, tagged: Tagged): string | undefined {
  const etag = cached.headers["etag"];
  const missing = [...listedNames(plain.headers["vary"])].filter((name) => !listedNames(cached.headers["vary"]).has(name));
  if (missing.length > 0 && cached.status !== 418 && cached.status !== 500) return `Vary lacks ${missing.join()}`;
  if (plain.headers["cache-control"] !== undefined && cached.headers["cache-control"] !== plain.headers["cache-control"])
    return `Cache-Control is ${cached.headers["cache-control"]}`;
  if (cached.status === 304 && plain.status !== 304) {
    if (plain.status !== 200) return "304 for another status";
    if (cached.text !== "") return "304 with a body";
    if (etag === undefined || !namesEtag(asked.headers["if-none-match"], etag)) return "304 for another tag";
    const given = tagged.texts.get(`${asked.url} ${opaque(etag)}`);
    if (given !== undefined && asked.method === "GET" && given !== plain.text) return `304 to a client that has ${given}`;
    return undefined;
  }
  if (cached.status !== plain.status) return "another status";
  // Some plug-ins leave a body, or body fields, in their 304. Node sends none of it.
  if (cached.status === 304) return undefined;
  if (cached.text !== plain.text) return "another body";
  const field = sameFields.find(
    (name) => cached.headers[name] !== plain.headers[name] && !(asked.method === "GET" && name === "content-length"),
  );
  if (field !== undefined) return `${field} is ${cached.headers[field]}`;
  const own = plain.headers["etag"];
  if (own !== undefined && opaque(own) !== opaque(etag ?? "")) return "a tag of the app's own is another";
  if (etag === undefined || asked.method === "HEAD" || cached.status !== 200) return undefined;
  if (own !== undefined) return undefined;
  const text = `${asked.url} ${opaque(etag)}`;
  if ((tagged.texts.get(text) ?? cached.text) !== cached.text) return `one tag for ${tagged.texts.get(text)} too`;
  tagged.texts.set(text, cached.text);
  if (etag.startsWith("W/")) return undefined;
  const bytes = `${asked.url} ${etag}`;
  if ((tagged.bytes.get(bytes) ?? cached.raw) !== cached.raw) return "one strong tag for other bytes too";
  tagged.bytes.set(bytes, cached.raw);
  return undefined;
}

/** `ZOOID_SEED` is the first seed, `ZOOID_SEEDS` the number of seeds. A failure names its seed. */
const seeds = Number(process.env["ZOOID_SEEDS"] ?? 15);
const first = Number(process.env["ZOOID_SEED"] ?? 1);

test(
  `an app answers the same with routeCaching as without, for ${seeds} random apps of hooks, plug-ins and scopes`,
  async () => {
    let hits = 0;
    let unchanged = 0;
    for (let seed = first; seed < first + seeds; seed++) {
      const random = seededRandom(seed);
      const cache = await createCache({ clock: new SimulatedClock(), random });
      const { cached, plain, what } = await pairOf(random, cache);
      const tagged: Tagged = { texts: new Map(), bytes: new Map() };
      const names = Array.from({ length: 4 }, () => paths[Math.floor(random.fraction() * paths.length)] ?? "text");
      const etags = new Map<string, string[]>();
      for (let round = 0; round < 40; round++) {
        const batch = Array.from({ length: 1 + Math.floor(random.fraction() * 3) }, () => requestOf(random, names, etags));
        const answers = await Promise.all(batch.map((asked) => answerOf(cached, asked)));
        for (const [at, asked] of batch.entries()) {
          const answer = answers[at] as Answer;
          const right = await answerOf(plain, asked);
          const wrong = difference(asked, answer, right, tagged);
          expect(wrong === undefined ? "" : JSON.stringify({ seed, wrong, asked, answer, right, what }, null, 1)).toBe("");
          const { etag } = answer.headers;
          if (etag !== undefined) etags.set(asked.url, [...(etags.get(asked.url) ?? []), etag]);
          if (answer.headers["cache-status"]?.includes("hit") === true) hits++;
          if (answer.status === 304 && right.status !== 304) unchanged++;
        }
      }
      await Promise.all([cached.close(), plain.close()]);
      await cache.close();
    }
    // A cache that never kept a page would also answer correctly, so hits are counted.
    expect(hits).toBeGreaterThan(seeds * 5);
    expect(unchanged).toBeGreaterThan(seeds / 4);
  },
  60_000 + seeds * 1_000,
);
