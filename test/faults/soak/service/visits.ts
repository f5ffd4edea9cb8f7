import type { Random } from "../../../../core/index.js";
import type { Commits } from "./commits.js";
import type { Floors } from "./floors.js";
import { keyOf, type Step, type StepResult, type Visit, type VisitAnswer } from "./protocol.js";
import { itemsEach } from "./requests.js";
import type { WatchedProcess } from "./watched-process.js";

/** Share of clients without a cache on disk, and of visits that end by a kill. */
const transientShare = 0.15;
const killShare = 0.1;
const stepsMax = 12;

export interface VisitsOptions {
  readonly random: Random;
  readonly items: Floors;
  readonly commits: Commits;
  /** Number of groups of items. */
  readonly groups: number;
  /** Number of clients per helper process. */
  readonly clients: number;
  readonly wrong: (text: string) => void;
  /**
   * Whether a failure of a step that began at `since` is excused by an outage of the broker or of the storage server.
   */
  readonly isExcused: (since: number) => boolean;
}

/** Clients of the object store that return, each with its former cache. */
export class Visits {
  readonly #options: VisitsOptions;
  readonly #visiting = new Set<string>();
  visits = 0;
  reads = 0;

  constructor(options: VisitsOptions) {
    this.#options = options;
  }

  /** One client connects, performs some steps, and ends. Resolves when it has ended. */
  async visit(helper: WatchedProcess): Promise<void> {
    const { random, items, clients, wrong, isExcused } = this.#options;
    const client = this.#below(clients);
    const node = `${helper.name}-${client}`;
    if (this.#visiting.has(node)) return;
    this.#visiting.add(node);
    const startMs = performance.now();
    const end = random.fraction() < killShare ? "kill" : "close";
    const keepsCache = client >= clients * transientShare;
    const steps = Array.from({ length: 1 + this.#below(stepsMax) }, () => this.#step());
    const floors = steps.map((step) => this.#floor(step, node, startMs));
    const answer = await helper.ask<VisitAnswer>({ type: "visit", client, keepsCache, steps, end } satisfies Visit);
    this.#visiting.delete(node);
    if (answer === undefined) return;
    this.visits += 1;
    const { opening } = answer;
    if (opening !== undefined && !(opening.isTransient && isExcused(startMs))) wrong(`${node} was not opened: ${opening.code}`);
    for (const [index, step] of steps.entries()) {
      const result = answer.results[index];
      if (result !== undefined) this.#judge(node, step, result, floors[index] ?? 0, startMs);
    }
    // The last reads of a killed client may be missing on its disk.
    if (end === "kill" || !keepsCache) items.forget(node);
  }

  #judge(node: string, step: Step, { version, failure }: StepResult, floor: number, startMs: number): void {
    const { items, commits, wrong, isExcused } = this.#options;
    const row = step.key.slice("item/".length);
    if (failure !== undefined || version === undefined) {
      if (step.type === "commit") commits.failed(row);
      const code = failure?.code ?? "no answer";
      // The outcome of the commit is unknown, which is not a wrong answer.
      const isAllowed = failure?.isTransient === true || code === "ZOOID_OUTCOME_UNKNOWN";
      if (!(isAllowed && isExcused(startMs))) wrong(`${node} failed to ${step.type} ${step.key}: ${code}`);
      return;
    }
    if (step.type === "commit") {
      commits.acknowledged(row, node, version, floor);
      return;
    }
    this.reads += 1;
    // The client must also know its own earlier reads and writes of this visit. Writes of others it may miss while it
    // is cut off.
    const least = Math.max(floor, items.floorAt(row, node, startMs, Infinity));
    if (version < least) wrong(`${node} read version ${version} of ${step.key} (${step.how}), though it knew of ${least}`);
    items.seen(row, node, version);
  }

  /** The lowest version that the client must see, computed before it connects. */
  #floor(step: Step, node: string, at: number): number {
    const row = step.key.slice("item/".length);
    const { items } = this.#options;
    const isNew = step.type === "commit" || step.how === "sync";
    return isNew ? items.floorAt(row, node, at, 0) : items.floorAt(row, node, at, Infinity);
  }

  #step(): Step {
    const key = keyOf(this.#below(this.#options.groups), this.#below(itemsEach));
    const dice = this.#options.random.fraction();
    if (dice < 0.15) return { type: "commit", key };
    return { type: "read", key, how: dice < 0.4 ? "sync" : "plain" };
  }

  #below(bound: number): number {
    return Math.floor(this.#options.random.fraction() * bound);
  }
}
