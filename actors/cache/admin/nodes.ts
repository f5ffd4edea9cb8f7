/** Finds the nodes of a cache in all processes, to inspect and control them. */
import type { Transport } from "../../../transport/transport.js";
import {
  ActorLostError,
  asDuration,
  asDurationIfGiven,
  asTag,
  delay,
  DisconnectedError,
  type Duration,
  endlessMs,
  limits,
  type Log,
  rootTag,
  silentLog,
  type Seams,
} from "../../../core/index.js";
import * as m from "./messages.js";
import type { Pruned } from "../pruner.js";
import type { Publication } from "../outbox.js";
import { type Codec, nothing, readAnswer, readOrDrop } from "../../protocol/codec.js";

export type { CachedKey, CacheNodeStats, CachePage, ListedTag } from "./messages.js";

/** Options of `findCacheNodes`: the cache, and how to reach its nodes. */
export interface CacheNodesOptions extends Pick<Seams, "clock" | "random"> {
  /** The option `prefix` of the cache. */
  readonly prefix: string;
  /** Connected to the broker that the bus of the nodes uses. `findCacheNodes` does not close it. */
  readonly transport: Transport;
  /** How long to wait for nodes to answer: a node that answers later is not found. */
  readonly waitMs: Duration;
  /** How long to wait for each answer. Default: limits.requestTimeoutMs. Infinity: until the link is lost. */
  readonly timeoutMs?: Duration | undefined;
  readonly log?: Log | undefined;
}

/** The part of a listing to return. */
export interface CacheListing {
  /** The page begins with the row after this one. */
  readonly after?: string | undefined;
  /** Default and maximum: limits.listPageRowsMax. */
  readonly rowsMax?: number | undefined;
}

/**
 * One node of a cache. Every method rejects with ActorLostError when the node is gone, and with DisconnectedError,
 * TimeoutError, or the error that the node answers.
 */
export interface CacheNode {
  /** Configured name of the node. Several nodes may have the same name. */
  readonly node: string;
  /** Unique id of one opening of one cache. */
  readonly instance: string;
  stats(): Promise<m.CacheNodeStats>;
  /**
   * Results that the node itself keeps, whose keys begin with `beginning`, in the order of their keys. Results in a
   * bucket that nodes share are not listed. Also rejects with ServerBusyError.
   */
  keys(beginning?: string, listing?: CacheListing): Promise<m.CachePage<m.CachedKey>>;
  /**
   * Tags whose versions the node knows: `below` and all tags below it. Without `below`: all tags except those of keys.
   * Also rejects with ServerBusyError, InvalidTagError.
   */
  tags(below?: string, listing?: CacheListing): Promise<m.CachePage<m.ListedTag>>;
  /**
   * Like `invalidate` of the cache: takes effect at this node at once, and at other nodes when the bus delivers it.
   * Also rejects with InvalidTagError.
   */
  invalidate(tags: readonly string[]): Promise<Publication>;
  clear(): Promise<Publication>;
  /** Default of `unusedMs`: the configuration of the node. */
  prune(unusedMs?: Duration): Promise<Pruned>;
}

/**
 * Returns the nodes that answer within `waitMs`, in the order of their names. Rejects with DisconnectedError,
 * InvalidOptionError. A node has an endpoint if its bus uses a transport and its option `endpoint` is not false.
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
      throw new ActorLostError({ actor: `cache/${this.node}`, isInDoubt: false });
    }
  }
}

/** Throws InvalidOptionError. */
function timeoutOf({ timeoutMs = limits.requestTimeoutMs }: CacheNodesOptions): number {
  return asDuration(timeoutMs, "timeoutMs", endlessMs);
}
