import type { Random } from "../../../../core/index.js";
import type { Answer } from "./http-client.js";
import type { Floors } from "./floors.js";
import type { Outages } from "./outages.js";

/** One request, and the judge of its answer. */
export interface Planned {
  readonly kind: string;
  readonly method: "GET" | "HEAD" | "PUT";
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Returns the fault of an answer; undefined when it is right. Not called for status 503. */
  readonly judge: (answer: Answer) => string | undefined;
}

/** Rows per region, the number that the service's figures read. */
export const rowsEach = 20;
export const itemsEach = 15;

/**
 * How far a node may be behind versions that other nodes acknowledged. During an outage and soon after: `maxStaleSecs`
 * by default, plus the time that invalidations wait at a node without its broker. Else: the time that a busy machine
 * takes to deliver a message.
 */
export const lagMsMax = 35_000;
const calmLagMsMax = 5_000;
/** The freshness that the service requires. */
const freshMs = 5_000;
const etagsMax = 1_000;

/** Odd paths: any answer to them is right except a failure of the service. */
const oddPaths: readonly string[] = [
  "/page/%ff%fe/0",
  "/page/%00/%00",
  "/page/..%2f..%2fetc/passwd",
  "/page/0/%E0%A4%A",
  "//page//0//0",
  "/page/0/0/",
  "/PAGE/0/0",
  "/page/0/0?utm=%",
  "/page/0/0?%00=%ff&&&=&a=b=c",
  "/page/0/0?__proto__=1&constructor=2&toString=3",
  "/page/__proto__/constructor",
  "/page/0/0;jsessionid=1",
  "/page/%2e%2e/%2e",
  "/strict/0/0?page=abc",
  "/strict/0/0?page=1e309&page=2",
  "/strict/0/0?page[]=1",
  "/note/%F0%9F%92%A9",
  "/note/%ED%A0%80",
  "/item/0/%20%20",
  "/item/a:b:c/*",
  "/list/%2f",
  `/note/${"n".repeat(90)}`,
  `/page/${"x".repeat(99)}/${"y".repeat(99)}`,
  `/page/0/0?${"q".repeat(6_000)}=1`,
  `/page/0/${"z".repeat(4_000)}`,
  `/${"%41".repeat(500)}`,
];
const encodings = ["gzip", "br", "deflate", "gzip;q=0, *", "identity", "br;q=1.0, gzip;q=0.8, *;q=0.1", ",,;q="];

/** Requests of anonymous clients to a node, with the lowest version that each answer may have. */
export class Requests {
  readonly #random: Random;
  readonly #groups: number;
  readonly #outages: Outages;
  readonly #rows: Floors;
  readonly #items: Floors;
  /** Versions by node, path and ETag. */
  readonly #etags = new Map<string, number>();
  /** The latest ETag by node and path. */
  readonly #latest = new Map<string, string>();

  /** `groups` is the number of regions of rows and of groups of items. */
  constructor(random: Random, groups: number, rows: Floors, items: Floors, outages: Outages) {
    this.#outages = outages;
    this.#groups = groups;
    this.#random = random;
    this.#rows = rows;
    this.#items = items;
  }

  /** A random request, to be sent to `node` at once. */
  next(node: string): Planned {
    const dice = this.#random.fraction();
    if (dice < 0.24) return this.#rowPage(node, "page", `?utm=${this.#text()}&page=${this.#below(1_000)}`);
    if (dice < 0.4) return this.#rowPage(node, "page", "");
    if (dice < 0.5) return this.#rowPage(node, "strict", `?page=${this.#below(3)}&utm=${this.#text()}`);
    if (dice < 0.58) return this.#figures(node);
    if (dice < 0.7) return this.#itemPage(node, "item", this.#lagMs, `?utm=${this.#text()}`);
    if (dice < 0.76) return this.#itemPage(node, "fresh", freshMs, "");
    if (dice < 0.8) return this.#listing(node);
    if (dice < 0.83) return this.commit(node);
    if (dice < 0.86) return this.#echo("me", "who", [{}, { authorization: `Bearer ${this.#text()}` }, { cookie: `id=${this.#text()}` }]);
    if (dice < 0.88) return this.#echo("language", "language", [{}, { "accept-language": this.#text() }]);
    if (dice < 0.91) return this.#note();
    if (dice < 0.95) return this.#unknown();
    return this.#odd();
  }

  /** Requests for the pages that show `row`. To be sent at once, since the lowest allowed versions are those of now. */
  ofRow(node: string, row: string): readonly Planned[] {
    return [this.#pageOf(node, "page", row, ""), this.#figures(node, Number(row.split(":")[0]))];
  }

  /** Requests for the pages that show an item, as in `ofRow`. */
  ofItem(node: string, item: string): readonly Planned[] {
    return [this.#itemPageOf(node, "item", item, this.#lagMs, ""), this.#listing(node, Number(item.split("/")[0]))];
  }

  /** A commit that writes `item`. */
  commit(node: string, item = this.item()): Planned {
    const floor = this.#items.floorAt(item, node, performance.now(), 0);
    const judge = ({ status, body }: Answer) => {
      const version = versionIn(body);
      if (status !== 200 || version === undefined) return `${status} ${body.slice(0, 200)}`;
      return version <= floor ? `wrote version ${version} after ${floor}` : undefined;
    };
    return { kind: "commit", method: "PUT", path: `/item/${item}`, headers: {}, judge };
  }

  /** A page of half a megabyte, for a slow reader. */
  big(node: string): Planned {
    return this.#rowPage(node, "big", `?reader=${this.#below(20)}`);
  }

  #rowPage(node: string, route: string, query: string): Planned {
    return this.#pageOf(node, route, `${this.#below(this.#groups)}:${this.#below(rowsEach)}`, query);
  }

  #pageOf(node: string, route: string, row: string, query: string): Planned {
    const path = `/${route}/${row.replace(":", "/")}${query}`;
    return this.#versioned(node, route, path, this.#rows, row, this.#lagMs);
  }

  #itemPage(node: string, route: string, ageMs: number, query: string): Planned {
    return this.#itemPageOf(node, route, this.item(), ageMs, query);
  }

  #itemPageOf(node: string, route: string, item: string, ageMs: number, query: string): Planned {
    return this.#versioned(node, route, `/${route}/${item}${query}`, this.#items, item, ageMs);
  }

  /** A page that names its version. Some of the requests carry the ETag of an older answer. */
  #versioned(node: string, kind: string, path: string, floors: Floors, row: string, ageMs: number): Planned {
    const floor = floors.floorAt(row, node, performance.now(), ageMs);
    const at = `${node} ${path}`;
    const etag = this.#random.fraction() < 0.5 ? this.#etagOf(at) : undefined;
    const known = etag === undefined ? undefined : this.#etags.get(`${at} ${etag}`);
    const judge = ({ status, headers, body }: Answer): string | undefined => {
      // An object is absent until its first commit.
      const isAbsent = floors === this.#items && status === 404;
      const version = status === 304 ? known : isAbsent ? 0 : versionIn(body);
      if (version === undefined || !(isAbsent || status === 200 || status === 304)) return `${status} ${body.slice(0, 200)}`;
      const { etag: given } = headers;
      if (given !== undefined && status === 200) this.#keepEtag(at, given, version);
      return version < floor ? `version ${version} (${status}), though it knew of ${floor}` : undefined;
    };
    return { kind, method: "GET", path, headers: { ...this.#headers(), ...(etag === undefined ? {} : { "if-none-match": etag }) }, judge };
  }

  #figures(node: string, region = this.#below(this.#groups)): Planned {
    const floors = this.#floorsOf(this.#rows, node, rowsEach, (row) => `${region}:${row}`);
    const judge = ({ status, body }: Answer) => {
      const versions = jsonOf(body)?.["versions"];
      if (status !== 200 || !Array.isArray(versions)) return `${status} ${body.slice(0, 200)}`;
      const wrong = floors.findIndex((floor, row) => !(Number(versions[row]) >= floor));
      return wrong < 0 ? undefined : `version ${versions[wrong]} of ${region}:${wrong}, though it knew of ${floors[wrong]}`;
    };
    return { kind: "figures", method: "GET", path: `/figures/${region}`, headers: this.#headers(), judge };
  }

  #listing(node: string, group = this.#below(this.#groups)): Planned {
    const floors = this.#floorsOf(this.#items, node, itemsEach, (item) => `${group}/${item}`);
    const judge = ({ status, body }: Answer) => {
      const items = jsonOf(body)?.["items"] as Readonly<Record<string, number>> | undefined;
      if (status !== 200 || items === undefined) return `${status} ${body.slice(0, 200)}`;
      const wrong = floors.findIndex((floor, item) => floor > 0 && !((items[`item/${group}/${item}`] ?? 0) >= floor));
      return wrong < 0 ? undefined : `item/${group}/${wrong} in ${body.slice(0, 200)}, though it knew of ${floors[wrong]}`;
    };
    return { kind: "list", method: "GET", path: `/list/${group}`, headers: this.#headers(), judge };
  }

  #floorsOf(floors: Floors, node: string, count: number, name: (index: number) => string): readonly number[] {
    const now = performance.now();
    return Array.from({ length: count }, (_, index) => floors.floorAt(name(index), node, now, this.#lagMs));
  }

  /** A page that echoes a header field or cookie of its own request, and must never show that of another request. */
  #echo(kind: string, field: string, choices: readonly Readonly<Record<string, string>>[]): Planned {
    const sent = this.#pick(choices);
    const wanted = Object.values(sent)[0] ?? (kind === "me" ? "anonymous" : "none");
    const judge = ({ status, body }: Answer) =>
      status === 200 && jsonOf(body)?.[field] === wanted ? undefined : `${status} ${body.slice(0, 200)}`;
    return { kind, method: "GET", path: `/${kind}`, headers: { ...this.#headers(), ...sent }, judge };
  }

  #note(): Planned {
    const text = this.#text();
    const judge = ({ status, body }: Answer) =>
      status === 200 && jsonOf(body)?.["text"] === text ? undefined : `${status} ${body.slice(0, 200)}`;
    return { kind: "note", method: "GET", path: `/note/${text}`, headers: this.#headers(), judge };
  }

  /** A random path without a page. */
  #unknown(): Planned {
    const path = this.#pick([
      `/page/${this.#text()}/${this.#text()}`,
      `/item/${this.#text()}/0`,
      `/fresh/0/${this.#text()}`,
      `/none/${this.#text()}`,
    ]);
    const judge = ({ status, body }: Answer) => (status === 404 ? undefined : `${status} ${body.slice(0, 200)}`);
    return { kind: "unknown", method: "GET", path, headers: this.#headers(), judge };
  }

  #odd(): Planned {
    const judge = ({ status, body }: Answer) => (status < 500 ? undefined : `${status} ${body.slice(0, 200)}`);
    const headers = { ...this.#headers(), range: "bytes=0-1", "cache-control": this.#pick(["no-cache", "max-age=0", "max-age=x,,="]) };
    return { kind: "odd", method: this.#pick(["GET", "HEAD"]), path: this.#pick(oddPaths), headers, judge };
  }

  get #lagMs(): number {
    return this.#outages.isExcused(performance.now() - calmLagMsMax) ? lagMsMax : calmLagMsMax;
  }

  #headers(): Readonly<Record<string, string>> {
    const dice = this.#random.fraction();
    return {
      "user-agent": this.#text(),
      ...(dice < 0.3 ? { "accept-encoding": this.#pick(encodings) } : {}),
      ...(dice > 0.9 ? { "x-forwarded-for": this.#text(), "if-modified-since": "yesterday" } : {}),
    };
  }

  #keepEtag(at: string, etag: string, version: number): void {
    this.#etags.delete(`${at} ${etag}`);
    this.#etags.set(`${at} ${etag}`, version);
    const [oldest] = this.#etags.keys();
    if (this.#etags.size > etagsMax && oldest !== undefined) this.#etags.delete(oldest);
    this.#latest.set(at, etag);
    const [oldestPath] = this.#latest.keys();
    if (this.#latest.size > etagsMax && oldestPath !== undefined) this.#latest.delete(oldestPath);
  }

  #etagOf(at: string): string | undefined {
    const etag = this.#latest.get(at);
    return etag !== undefined && this.#etags.has(`${at} ${etag}`) ? etag : undefined;
  }

  /** A random item. */
  item(): string {
    return `${this.#below(this.#groups)}/${this.#below(itemsEach)}`;
  }

  #below(bound: number): number {
    return Math.floor(this.#random.fraction() * bound);
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#below(from.length)] as T;
  }

  #text(): string {
    return this.#random.id();
  }
}

export function versionIn(body: string): number | undefined {
  const version = jsonOf(body)?.["version"];
  return typeof version === "number" ? version : undefined;
}

export function jsonOf(body: string): Readonly<Record<string, unknown>> | undefined {
  try {
    return JSON.parse(body) as Readonly<Record<string, unknown>>;
  } catch {
    return undefined;
  }
}
