/** The nodes of a cache, in whatever processes they are: to look at them, and to steer them. */
import type { Transport } from "../../../transport/transport.js";
import {
  ActorLostError,
  asDuration,
  asDurationIfGiven,
  asTag,
  type Random,
  type Clock,
  delay,
  DisconnectedError,
  type Duration,
  endlessMs,
  limits,
  type Log,
  rootTag,
  silentLog,
} from "../../../core/index.js";
import * as m from "./messages.js";
import type { Pruned } from "../pruner.js";
import type { Publication } from "../publication.js";
import { type Codec, nothing, readAnswer, readOrDrop } from "../../protocol/codec.js";

export type { CachedKey, CacheNodeStats, CachePage, ListedTag } from "./messages.js";

/** Which cache, and by what its nodes are reached. */
export interface CacheNodesOptions {
  /** The option `prefix` of the cache. */
  readonly prefix: string;
  /** To the broker that the nodes have their bus on. It is not closed. */
  readonly transport: Transport;
  /** Nodes that do not say within it that they are there are not found. */
  readonly waitMs: Duration;
  /** An answer of a node is waited for so long. Default: limits.requestTimeoutMs; Infinity waits until the link is lost. */
  readonly timeoutMs?: Duration | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log?: Log | undefined;
}

/** Which part of a listing is wanted. */
export interface CacheListing {
  /** Rows before and up to this one are passed over. */
  readonly after?: string | undefined;
  /** At most limits.listPageRowsMax, the default. */
  readonly rowsMax?: number | undefined;
}

/**
 * One node of a cache. Everything rejects with ActorLostError when it is gone, else with DisconnectedError, TimeoutError, or what the
 * node answered.
 */
export interface CacheNode {
  /** As it was configured: several nodes may have one name. */
  readonly node: string;
  /** Of one opening of one cache. */
  readonly instance: string;
  stats(): Promise<m.CacheNodeStats>;
  /** Results that it keeps itself, not those in a bucket that nodes share, and whose keys begin with `beginning`, in the order of their keys. Rejects with ServerBusyError. */
  keys(beginning?: string, listing?: CacheListing): Promise<m.CachePage<m.CachedKey>>;
  /** Tags that it knows versions of: `below` and what is below that; without it all, but for those of keys. Rejects with ServerBusyError, InvalidTagError. */
  tags(below?: string, listing?: CacheListing): Promise<m.CachePage<m.ListedTag>>;
  /** As `invalidate` of the cache itself: at this node at once, at the others over their bus. Rejects with InvalidTagError too. */
  invalidate(tags: readonly string[]): Promise<Publication>;
  clear(): Promise<Publication>;
  /** Default: as the node was configured. */
  prune(unusedMs?: Duration): Promise<Pruned>;
}

/**
 * The nodes that said within `waitMs` that they are there, in the order of their names. Rejects with DisconnectedError, InvalidOptionError.
 * A node has an endpoint when its bus is over a transport, unless its option `endpoint` is false.
 */
export async function findCacheNodes(options: CacheNodesOptions): Promise<readonly CacheNode[]> {
  const { transport, clock, random, log = silentLog } = options;
  const waitMs = asDuration(options.waitMs, "waitMs", { unit: "ms" });
  timeoutOf(options);
  const subjects = m.cacheSubjects(options.prefix);
  const answerTo = random.id();
  const found = new Map<string, CacheNode>();
  const answers = transport.subscribe(subjects.answers(answerTo), (message) => {
    const name = readOrDrop(m.nodeName, message, log);
    if (name !== undefined && found.size < limits.cacheNodesListedMax) found.set(name.instance, new RemoteCacheNode(name, options));
  });
  try {
    await transport.flush();
    transport.publish(subjects.nodes, m.nodesAsked.write(answerTo));
    await delay(clock, waitMs);
  } finally {
    answers.unsubscribe();
  }
  const order = ({ node, instance }: CacheNode) => `${node} ${instance}`;
  return [...found.values()].toSorted((a, b) => (order(a) < order(b) ? -1 : 1));
}

class RemoteCacheNode implements CacheNode {
  readonly node: string;
  readonly instance: string;
  readonly #options: CacheNodesOptions;

  constructor({ node, instance }: m.CacheNodeName, options: CacheNodesOptions) {
    this.node = node;
    this.instance = instance;
    this.#options = options;
  }

  stats(): Promise<m.CacheNodeStats> {
    return this.#ask("stats", nothing, {}, m.nodeStats);
  }

  keys(beginning = "", { after, rowsMax = limits.listPageRowsMax }: CacheListing = {}): Promise<m.CachePage<m.CachedKey>> {
    return this.#ask("keys", m.keysAsked, { beginning, after, rowsMax }, m.keysPage);
  }

  async tags(below?: string, { after, rowsMax = limits.listPageRowsMax }: CacheListing = {}): Promise<m.CachePage<m.ListedTag>> {
    const asked = {
      below: below === undefined ? rootTag : asTag(below),
      after: after === undefined || after === rootTag ? undefined : asTag(after),
      rowsMax,
    };
    return this.#ask("tags", m.tagsAsked, asked, m.tagsPage);
  }

  async invalidate(tags: readonly string[]): Promise<Publication> {
    return this.#ask("invalidate", m.invalidateAsked, tags.map(asTag), m.publication);
  }

  clear(): Promise<Publication> {
    return this.#ask("clear", nothing, {}, m.publication);
  }

  async prune(unused?: Duration): Promise<Pruned> {
    const unusedMs = asDurationIfGiven(unused, "unusedMs", { unit: "ms" });
    return this.#ask("prune", m.pruneAsked, { unusedMs: unusedMs && Math.ceil(unusedMs) }, m.pruned);
  }

  async #ask<Asked, Answer>(operation: m.CacheOperation, asked: Codec<Asked>, request: Asked, answer: Codec<Answer>): Promise<Answer> {
    const { prefix, transport } = this.#options;
    const timeoutMs = timeoutOf(this.#options);
    const subject = m.cacheSubjects(prefix).requests(this.instance, operation);
    try {
      return readAnswer(answer, await transport.request(subject, asked.write(request), { timeoutMs }));
    } catch (error) {
      if (!(error instanceof DisconnectedError && error.isUnheard)) throw error;
      throw new ActorLostError({ actor: `cache/${this.node}` });
    }
  }
}

/** Throws InvalidOptionError. */
function timeoutOf({ timeoutMs = limits.requestTimeoutMs }: CacheNodesOptions): number {
  return asDuration(timeoutMs, "timeoutMs", endlessMs);
}
