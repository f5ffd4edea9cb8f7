import { mkdir } from "node:fs/promises";
import { type Random, seededRandom } from "../../../../core/index.js";
import { Commits } from "./commits.js";
import { Floors } from "./floors.js";
import { type Growth, growthsOf, overgrown, type Sample } from "./growth.js";
import { Outages } from "./outages.js";
import { Pacing } from "./pacing.js";
import { Parts } from "./parts.js";
import { keyOf, type Visit, type VisitAnswer } from "./protocol.js";
import { lagMsMax, Requests } from "./requests.js";
import { Traffic } from "./traffic.js";
import { Visits } from "./visits.js";

export interface ServiceSoakOptions {
  readonly minutes: number;
  /** Seed of the requests and of the moments when parts die. Timing on the machine decides the rest. */
  readonly seed: number;
  /** HTTP requests per second, to all services together. */
  readonly rate: number;
  /** Number of returning clients of the object store. */
  readonly clients: number;
  /** Number of regions of rows, and of groups of items. With fewer, each is requested more often. Default: 20. */
  readonly groups?: number;
  /** Processes that hold the clients. Default: 2. */
  readonly helpers?: number;
  /**
   * Average pause between two kills of the broker, and between two restarts of the storage server. Default: 30 s, and a
   * third of the soak.
   */
  readonly killEverySecs?: number;
  readonly restartEverySecs?: number;
  /** Default: 10 s. */
  readonly sampleEverySecs?: number;
  /** Folder for heap snapshots: one set when the judging of memory begins, one at the end. */
  readonly snapshots?: string | undefined;
  /** Ends the soak early. */
  readonly signal?: AbortSignal | undefined;
  /** Called after each sample. */
  readonly progress?: (report: ServiceSoakReport, samples: readonly Sample[]) => void;
}

/** Results of a soak. */
export interface ServiceSoakReport {
  readonly seconds: number;
  readonly requests: number;
  readonly kinds: Readonly<Record<string, number>>;
  /** Answers that were compared with the current versions. */
  readonly checked: number;
  /** Checked answers that came from the cache of pages. */
  readonly hits: number;
  /** Answers 503 of services during outages of the broker or the storage server. */
  readonly excused: number;
  /** The longest answer, by kind. */
  readonly answerMsMax: Readonly<Record<string, number>>;
  readonly invalidations: number;
  readonly commits: number;
  readonly failedCommits: number;
  /** Number of visits of clients of the object store, and of their reads. */
  readonly visits: number;
  readonly clientReads: number;
  readonly brokerKills: number;
  readonly storageRestarts: number;
  /** Warnings of the processes, with their number. */
  readonly logged: Readonly<Record<string, number>>;
  /** Time from which memory is judged. */
  readonly judgedFromSecs: number;
  readonly growths: readonly Growth[];
  readonly samples: readonly Sample[];
  readonly wrongs: readonly string[];
}

const servicesCount = 2;
/** Memory is judged from this time on; in a shorter soak, during its last three quarters. */
const warmUpMsMax = 300_000;
/** A restarted storage server has its full size after this time, which is longer than its retention of transactions. */
const settleMs = 150_000;
/** A line over a shorter time means little, so it is shown and not judged. */
const judgedMsMin = 300_000;
/** The broker is away for up to this share of the pause between two kills. */
const brokerAwayShareMax = 0.1;
/** Requests in flight. Past it, requests that wait for a missing part delay the others. */
const requestsMax = 400;
const visitsMax = 8;
const visitsPerSecond = 2;
/** Invalidations per request. */
const invalidationsShare = 0.05;
const wrongsMax = 50;

/**
 * Runs services under anonymous traffic, over a storage server with returning clients, while the broker is killed and
 * the storage server restarted again and again. Every answer is compared with the current versions. No process may do
 * or write anything unexpected, or grow.
 */
export function soakService(options: ServiceSoakOptions): Promise<ServiceSoakReport> {
  return new ServiceSoak(options).run();
}

class ServiceSoak {
  readonly #options: ServiceSoakOptions;
  readonly #random: Random;
  readonly #items = new Floors(lagMsMax);
  readonly #outages = new Outages();
  readonly #commits: Commits;
  readonly #traffic: Traffic;
  readonly #visits: Visits;
  readonly #samples: Sample[] = [];
  readonly #wrongs: string[] = [];
  readonly #logged: Record<string, number> = {};
  readonly #warmUpMs: number;
  readonly #killEveryMs: number;
  #brokerKills = 0;
  #storageRestarts = 0;
  #startMs = performance.now();

  constructor(options: ServiceSoakOptions) {
    this.#options = options;
    this.#random = seededRandom(options.seed);
    this.#killEveryMs = (options.killEverySecs ?? 30) * 1_000;
    this.#warmUpMs = Math.min(warmUpMsMax, (options.minutes * 60_000) / 4);
    const [random, outages, items, rows] = [this.#random, this.#outages, this.#items, new Floors(lagMsMax)];
    const wrong = (text: string) => this.#wrong(text);
    const { groups = 20 } = options;
    const commits = new Commits(items, wrong);
    this.#commits = commits;
    this.#traffic = new Traffic({
      random,
      regions: groups,
      requests: new Requests(random, groups, rows, items, outages),
      rows,
      commits,
      outages,
      wrong,
    });
    const clients = Math.ceil(options.clients / (options.helpers ?? 2));
    this.#visits = new Visits({ random, groups, items, commits, clients, wrong, isExcused: (since) => outages.isExcused(since) });
  }

  async run(): Promise<ServiceSoakReport> {
    const { snapshots } = this.#options;
    if (snapshots !== undefined) await mkdir(snapshots, { recursive: true });
    const parts = await Parts.start({
      services: servicesCount,
      helpers: this.#options.helpers ?? 2,
      events: {
        logged: (text) => (this.#logged[text] = (this.#logged[text] ?? 0) + 1),
        wrong: (text) => this.#wrong(text),
      },
      readRow: this.#traffic.versionOf,
    });
    try {
      await this.#load(parts);
      if (snapshots !== undefined) await parts.snapshot(snapshots, "end");
      if (this.#options.signal?.aborted !== true) await this.#judgeCommits(parts);
    } finally {
      await parts.close();
    }
    return this.#judged();
  }

  async #load(parts: Parts): Promise<void> {
    const { minutes, rate, restartEverySecs = minutes * 20, sampleEverySecs = 10, signal } = this.#options;
    this.#startMs = performance.now();
    const ending = new AbortController();
    const end = () => ending.abort();
    const timer = setTimeout(end, minutes * 60_000);
    signal?.addEventListener("abort", end);
    if (signal?.aborted === true) end();
    const failed = (error: unknown) => this.#wrong(String(error instanceof Error ? error.stack : error));
    const pacing = new Pacing(ending.signal, () => this.#random.fraction(), failed);
    try {
      await Promise.all([
        pacing.rate(rate, requestsMax, () => this.#traffic.request(this.#pick(parts.services))),
        pacing.rate(rate * invalidationsShare, requestsMax, () => this.#traffic.invalidate(this.#pick(parts.services))),
        pacing.rate(visitsPerSecond, visitsMax, () => this.#visits.visit(this.#pick(parts.helpers))),
        pacing.nowAndThen(this.#killEveryMs, () => this.#killBroker(parts)),
        pacing.nowAndThen(restartEverySecs * 1_000, () => this.#restartStorage(parts)),
        pacing.steadily(sampleEverySecs * 1_000, () => this.#sample(parts)),
      ]);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
    }
  }

  async #killBroker({ broker }: Parts): Promise<void> {
    const awayMs = this.#random.fraction() * this.#killEveryMs * brokerAwayShareMax;
    await this.#outages.during(async () => {
      await broker.kill();
      await new Promise((resolve) => setTimeout(resolve, awayMs));
      await broker.restart();
    });
    this.#brokerKills += 1;
  }

  async #restartStorage(parts: Parts): Promise<void> {
    await this.#outages.during(() => parts.restartStorage(this.#storageRestarts % 2 === 0 ? "kill" : "stop"));
    this.#storageRestarts += 1;
  }

  async #sample(parts: Parts): Promise<void> {
    const { snapshots, progress } = this.#options;
    const at = this.#elapsedMs;
    const isFirstJudged = at >= this.#warmUpMs && !this.#samples.some((each) => each.at >= this.#warmUpMs);
    const samples = await parts.sample(at);
    this.#samples.push(...samples);
    // A process that writes a snapshot does not answer for some seconds.
    if (snapshots !== undefined && isFirstJudged) await this.#outages.during(() => parts.snapshot(snapshots, "begin"));
    progress?.(this.#report(), samples);
  }

  /** Checks that the storage holds each commit exactly once at the end. */
  async #judgeCommits({ helpers: [helper] }: Parts): Promise<void> {
    const { rows } = this.#commits;
    const steps = rows.map((row) => ({ type: "read", how: "sync", key: keyOf(...(row.split("/") as [string, string])) }) as const);
    const visit: Visit = { type: "visit", client: -1, keepsCache: false, steps, end: "close" };
    const answer = await helper?.ask<VisitAnswer>(visit);
    for (const [index, row] of rows.entries()) this.#commits.judgeEnd(row, answer?.results[index]?.version ?? 0);
  }

  #judged(): ServiceSoakReport {
    const isLongEnough = this.#elapsedMs - this.#warmUpMs >= judgedMsMin;
    for (const { process, quantity, level, end } of isLongEnough ? overgrown(this.#report().growths) : []) {
      this.#wrong(`${quantity} of ${process} grew from ${Math.round(level)} to ${Math.round(end)}`);
    }
    return this.#report();
  }

  #report(): ServiceSoakReport {
    const { kinds, counts, answerMsMax } = this.#traffic;
    return {
      seconds: this.#elapsedMs / 1_000,
      ...counts,
      kinds: { ...kinds },
      answerMsMax: { ...answerMsMax },
      commits: this.#commits.count,
      failedCommits: this.#commits.failures,
      visits: this.#visits.visits,
      clientReads: this.#visits.reads,
      brokerKills: this.#brokerKills,
      storageRestarts: this.#storageRestarts,
      logged: { ...this.#logged },
      judgedFromSecs: this.#warmUpMs / 1_000,
      growths: growthsOf(this.#samples, { fromMs: this.#warmUpMs, settleMs: Math.min(settleMs, this.#warmUpMs) }),
      samples: [...this.#samples],
      wrongs: [...this.#wrongs],
    };
  }

  get #elapsedMs(): number {
    return performance.now() - this.#startMs;
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random.fraction() * from.length)] as T;
  }

  #wrong(text: string): void {
    if (this.#wrongs.length < wrongsMax) this.#wrongs.push(`after ${(this.#elapsedMs / 1_000).toFixed(1)} s: ${text}`);
  }
}
