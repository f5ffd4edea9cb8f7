import type { Random } from "../../../../core/index.js";
import type { Commits } from "./commits.js";
import type { Floors } from "./floors.js";
import type { Answer, Manner } from "./http-client.js";
import type { Outages } from "./outages.js";
import type { ServiceNode } from "./parts.js";
import { jsonOf, type Planned, type Requests, rowsEach, versionIn } from "./requests.js";

export interface TrafficOptions {
  readonly random: Random;
  /** Number of regions of rows. */
  readonly regions: number;
  readonly requests: Requests;
  readonly rows: Floors;
  readonly commits: Commits;
  readonly outages: Outages;
  readonly wrong: (text: string) => void;
}

/** With this pause a slow reader takes some seconds for half a megabyte. */
const slowReaderPauseMs = 250;
const rawMsMax = 2_000;
/** Bytes that are not a valid request, or an odd one. */
const garbage: readonly string[] = [
  "\0\0\0\0\r\n\r\n",
  "GET\r\n\r\n",
  "GET /page/\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
  "GET http://other.example/page/0/0 HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n",
  "GET //other.example/page/0/0 HTTP/1.0\r\n\r\n",
  "OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
  "PROPFIND /page/0/0 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
  "GET /page/0/0 HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n",
  `GET /page/0/0 HTTP/1.1\r\nHost: a\r\nCookie: ${"c".repeat(20_000)}\r\n\r\n`,
  `GET /page/0/0 HTTP/1.1\r\nHost: a\r\n${"X-Odd: 1\r\n".repeat(300)}Connection: close\r\n\r\n`,
  'GET /page/0/0 HTTP/1.1\r\nHost: a\r\nIf-None-Match: "a", W/"b", *, ,\r\nRange: bytes=9-1\r\nConnection: close\r\n\r\n',
  "POST /invalidate HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 5\r\nConnection: close\r\n\r\n{{{{{",
  "POST /invalidate HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
  "PUT /item/0/0 HTTP/1.1\r\nHost: a\r\nContent-Type: text/odd\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx",
  "GET /page/0/0 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
  "GET /page/0/0 HTTP/1.1\r\nHost: a\r\n",
];

/** HTTP traffic to the services: sends requests and judges the answers. */
export class Traffic {
  readonly #options: TrafficOptions;
  readonly #versions = new Map<string, number>();
  readonly kinds: Record<string, number> = {};
  readonly counts = { requests: 0, checked: 0, hits: 0, excused: 0, invalidations: 0 };
  /** The longest answer, by kind. */
  readonly answerMsMax: Record<string, number> = {};

  constructor(options: TrafficOptions) {
    this.#options = options;
    for (let region = 0; region < options.regions; region++) {
      for (let row = 0; row < rowsEach; row++) this.#versions.set(`${region}:${row}`, 1);
    }
  }

  /** Version of a row of the database. 0: there is no such row. */
  readonly versionOf = (row: string): number => this.#versions.get(row) ?? 0;

  async request(node: ServiceNode): Promise<void> {
    const { random, requests } = this.#options;
    const dice = random.fraction();
    if (dice < 0.03) return this.#abort(node);
    if (dice < 0.04) return this.#listen(node);
    if (dice < 0.06) return this.#garbage(node);
    if (dice < 0.07) return this.#writeBetweenReads(node);
    if (dice < 0.08) return this.#send(node, requests.big(node.name), { partPauseMs: slowReaderPauseMs });
    return this.#send(node, requests.next(node.name));
  }

  /**
   * Writes a row, or all rows of a region, and invalidates it by its tag. Sometimes reads pages of it before and after.
   */
  async invalidate(node: ServiceNode): Promise<void> {
    const { random, regions, requests } = this.#options;
    const [region, row] = [this.#below(regions), this.#below(rowsEach)];
    const dice = random.fraction();
    if (dice < 0.02) {
      const names = Array.from({ length: rowsEach }, (_, each) => `${region}:${each}`);
      return this.#invalidateRows(node, names, `rows:${region}`);
    }
    const name = `${region}:${row}`;
    if (dice < 0.2) await this.#sendAll(node, requests.ofRow(node.name, name));
    await this.#invalidateRows(node, [name], `rows:${name}`);
    if (dice < 0.2) await this.#sendAll(node, requests.ofRow(node.name, name));
  }

  async #invalidateRows(node: ServiceNode, names: readonly string[], tag: string): Promise<void> {
    const { rows, outages, wrong } = this.#options;
    const written = names.map((name) => [name, this.versionOf(name) + 1] as const);
    for (const [name, version] of written) this.#versions.set(name, version);
    const startMs = performance.now();
    const answer = await node.http.post("/invalidate", { tags: [tag] });
    this.counts.invalidations += 1;
    const publication = jsonOf(answer.body)?.["publication"];
    const isWell = publication === "published" || (publication === "queued" && outages.isExcused(startMs));
    if (!isWell) wrong(`${node.name}: an invalidation was answered ${answer.status} ${answer.body.slice(0, 200)}`);
    const at = performance.now();
    for (const [name, version] of written) rows.acknowledged(name, node.name, version, at);
  }

  /** A client that reads pages, commits a change to them, and reads them again. */
  async #writeBetweenReads(node: ServiceNode): Promise<void> {
    const { requests } = this.#options;
    const item = requests.item();
    await this.#sendAll(node, requests.ofItem(node.name, item));
    await this.#send(node, requests.commit(node.name, item));
    await this.#sendAll(node, requests.ofItem(node.name, item));
  }

  async #sendAll(node: ServiceNode, planned: readonly Planned[]): Promise<void> {
    await Promise.all(planned.map((each) => this.#send(node, each)));
  }

  async #send(node: ServiceNode, planned: Planned, manner: Manner = {}): Promise<void> {
    const { wrong, outages, commits } = this.#options;
    const { kind, method, path } = planned;
    const startMs = performance.now();
    this.#count(kind);
    const said = (text: string) => wrong(`${node.name}: ${method} ${path.slice(0, 100)}: ${text}`);
    let answer: Answer;
    try {
      answer = await node.http.send(planned, manner);
    } catch (error) {
      if (kind === "commit") commits.failed(path.slice("/item/".length));
      said(String(error));
      return;
    }
    this.answerMsMax[kind] = Math.max(this.answerMsMax[kind] ?? 0, performance.now() - startMs);
    if (answer.status === 503 && outages.isExcused(startMs)) {
      this.counts.excused += 1;
      if (kind === "commit") commits.failed(path.slice("/item/".length));
      return;
    }
    this.counts.checked += 1;
    if (String(answer.headers["cache-status"]).startsWith("zooid; hit")) this.counts.hits += 1;
    const problem = planned.judge(answer);
    if (problem !== undefined) said(`${problem}, cache-status ${String(answer.headers["cache-status"])}, age ${answer.headers.age}`);
    if (kind === "commit") this.#committed(node, path.slice("/item/".length), answer);
  }

  #committed(node: ServiceNode, row: string, answer: Answer): void {
    const version = versionIn(answer.body);
    if (answer.status === 200 && version !== undefined) this.#options.commits.acknowledged(row, node.name, version, 0);
    else this.#options.commits.failed(row);
  }

  /** A client that closes its connection before the answer is complete. */
  async #abort(node: ServiceNode): Promise<void> {
    const { requests, random } = this.#options;
    this.#count("aborted");
    const dice = random.fraction();
    const { path } = dice < 0.4 ? requests.big(node.name) : requests.next(node.name);
    await node.http.abort(dice > 0.8 ? `/slow?utm=${random.id()}` : path, this.#below(20));
  }

  /** A client that follows changes for a while. */
  async #listen(node: ServiceNode): Promise<void> {
    this.#count("events");
    await node.http.abort("/events", this.#below(3_000));
  }

  async #garbage(node: ServiceNode): Promise<void> {
    this.#count("garbage");
    const sent = garbage[this.#below(garbage.length)] ?? "";
    const said = await node.http.raw(sent, rawMsMax);
    this.counts.checked += 1;
    if (/^HTTP\/1\.[01] 5/.test(said)) this.#options.wrong(`${node.name}: ${JSON.stringify(sent.slice(0, 80))}: ${said.slice(0, 200)}`);
  }

  #count(kind: string): void {
    this.counts.requests += 1;
    this.kinds[kind] = (this.kinds[kind] ?? 0) + 1;
  }

  #below(bound: number): number {
    return Math.floor(this.#options.random.fraction() * bound);
  }
}
