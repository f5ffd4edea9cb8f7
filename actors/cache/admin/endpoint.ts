/** The endpoint over which processes on the bus inspect and control one node of a cache. */
import { keyTag } from "../../../storage/results/result-key.js";
import type { EntryStore } from "../../../storage/results/entry-store.js";
import type { Message, Transport } from "../../../transport/transport.js";
import {
  ClosedError,
  isBelow,
  limits,
  MalformedMessageError,
  rootTag,
  ServerBusyError,
  type Tag,
  type Value,
} from "../../../core/index.js";
import { hasMachine } from "../bus/bus-machine.js";
import { listPage } from "./pages.js";
import * as m from "./messages.js";
import type { Cache } from "../interface.js";
import type { CacheCore } from "../core.js";
import type { CachePruner } from "../pruner.js";
import { type ActorSystem, createActorSystem } from "../../system/actor-system.js";
import { type Codec, nothing, readOrDrop, writeAnswer, writeError } from "../../protocol/codec.js";

/** The node that an endpoint is for. */
export interface CacheEndpointOptions {
  readonly cache: Pick<Cache, "stats" | "invalidate" | "clear">;
  readonly core: CacheCore;
  readonly pruner: CachePruner;
  /** Not closed with the endpoint. */
  readonly transport: Transport;
  /** Not closed with the endpoint. Default: one of its own. */
  readonly system?: ActorSystem;
}

/**
 * Answers for one node until it is closed.
 *
 * 1. Only the operations of messages.ts get in. Any other message gets a typed error, and changes nothing.
 * 2. No user of the cache waits for an inspection: long work is done in steps, for limits.cacheStepsMax requests at
 *    most.
 * 3. Inspection does not keep results alive.
 */
export class CacheEndpoint {
  readonly #options: CacheEndpointOptions;
  readonly #name: m.CacheNodeName;
  readonly #subjects: ReturnType<typeof m.cacheSubjects>;
  readonly #openedMs: number;
  readonly #system: ActorSystem;
  readonly #registrations: (() => void)[] = [];
  readonly #subscriptions: readonly { unsubscribe(): void }[];
  #underWay = 0;
  #isClosed = false;

  constructor(options: CacheEndpointOptions) {
    const { core, pruner, transport } = options;
    const { prefix, node, clock, random, log } = core.settings;
    this.#options = options;
    const instance = random.id();
    this.#name = { node: node ?? instance, instance };
    this.#subjects = m.cacheSubjects(prefix);
    this.#openedMs = clock.monotonic();
    this.#system = options.system ?? createActorSystem({ realm: prefix, transport, clock, random, log });
    const path = `cache/${this.#name.node}`;
    core.notes.passTo(this.#system.notes, path);
    this.#registrations.push(this.#system.register(`${path}/pruning`, pruner.actor, { accepts: ["PRUNE"], describe: () => this.#shown() }));
    const { bus } = core;
    if (bus !== undefined && hasMachine(bus))
      this.#registrations.push(this.#system.register(`${path}/bus`, bus.actor, { accepts: [], describe: () => this.#shownOfBus() }));
    this.#subscriptions = [
      transport.subscribe(this.#subjects.nodes, (message) => {
        this.#publishName(message);
      }),
      transport.subscribe(this.#subjects.requests(instance, "*"), (message) => void this.#answer(message)),
    ];
  }

  close(): void {
    this.#isClosed = true;
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
    if (this.#options.system === undefined) this.#system.close();
    else for (const end of this.#registrations) end();
  }

  #publishName(message: Message): void {
    const { transport, core } = this.#options;
    const answerTo = readOrDrop(m.nodesAsked, message, core.settings.log);
    if (answerTo === undefined) return;
    try {
      transport.publish(this.#subjects.answers(answerTo), m.nodeName.write(this.#name));
    } catch (error) {
      core.settings.log.debug({ err: error }, "this node could not publish its name");
    }
  }

  async #answer({ subject, payload, reply }: Message): Promise<void> {
    const { log } = this.#options.core.settings;
    let answer: Uint8Array;
    try {
      answer = await this.#carryOut(subject.slice(subject.lastIndexOf(".") + 1), payload);
    } catch (error) {
      answer = writeError(error);
      log.debug({ subject, err: error }, "a request was refused");
    }
    try {
      reply?.(answer);
    } catch (error) {
      log.debug({ subject, err: error }, "a request could not be answered");
    }
  }

  async #carryOut(operation: string, payload: Uint8Array): Promise<Uint8Array> {
    if (this.#isClosed) throw new ClosedError({ what: "cache" });
    switch (operation) {
      case "stats":
        nothing.read(payload);
        return writeAnswer(m.nodeStats, this.#stats());
      case "keys":
        return this.#inSteps(m.keysPage, () => this.#keys(m.keysAsked.read(payload)));
      case "tags":
        return this.#inSteps(m.tagsPage, () => this.#tags(m.tagsAsked.read(payload)));
      case "invalidate": {
        const tags = m.invalidateAsked.read(payload);
        this.#logOperation("invalidate", { tags: tags.slice(0, limits.loggedKeysMax), count: tags.length });
        return writeAnswer(m.publication, await this.#options.cache.invalidate(tags));
      }
      case "clear":
        nothing.read(payload);
        this.#logOperation("clear", {});
        return writeAnswer(m.publication, await this.#options.cache.clear());
      case "prune": {
        const { unusedMs } = m.pruneAsked.read(payload);
        this.#logOperation("prune", { unusedMs });
        const { pruner, core } = this.#options;
        return this.#inSteps(m.pruned, () => pruner.prune(unusedMs ?? core.settings.autoPruneMs));
      }
      default:
        throw new MalformedMessageError({ what: "request", reason: `is none of ${m.cacheOperations.join(", ")}` });
    }
  }

  #logOperation(operation: m.CacheOperation, facts: object): void {
    const { log } = this.#options.core.settings;
    log.info({ ...this.#name, operation, ...facts }, "an operation from outside");
  }

  #stats(): m.CacheNodeStats {
    const { cache, core } = this.#options;
    return {
      uptimeMs: Math.round(core.settings.clock.monotonic() - this.#openedMs),
      tiers: [...tiersOf(core).map(({ kind }) => kind), ...(core.shared === undefined ? [] : ["bucket"])],
      bus: core.bus?.kind ?? "none",
      stats: cache.stats() as unknown as Readonly<Record<string, Value>>,
    };
  }

  /** Counts of results and calls, beside the state of the pruning. */
  #shown(): Readonly<Record<string, Value>> {
    const { hits, misses, entries, bytes, tags, invalidations } = this.#options.cache.stats();
    return { hits, misses, entries, bytes, tags, invalidations };
  }

  #shownOfBus(): Readonly<Record<string, Value>> {
    const { busHeardMs, outbox, isInTouch, heard } = this.#options.cache.stats();
    // Before the first proof there is no time since it.
    const heardMsAgo = busHeardMs === undefined || busHeardMs === Infinity ? null : Math.round(busHeardMs);
    return { heardMsAgo, outbox, isInTouch, heard };
  }

  #keys({ beginning, after, rowsMax }: m.KeysAsked): Promise<m.CachePage<m.CachedKey>> {
    const { core } = this.#options;
    const tiers = tiersOf(core);
    const nowMs = core.settings.clock.monotonic();
    return listPage({
      items: keysIn(tiers),
      count: tiers.reduce((sum, tier) => sum + tier.stats().entries, 0),
      orderOf: (key) => (key.startsWith(beginning) ? key : undefined),
      rowOf: (key) => {
        for (const tier of tiers) {
          const about = tier.peek(key);
          if (about === undefined) continue;
          const { tags, ttlMs, storedMs, expiresMs } = about;
          const leftMs = ttlMs === undefined ? undefined : wholeMs(expiresMs - nowMs);
          return { key, tier: tier.kind, tags, ageMs: wholeMs(nowMs - storedMs), leftMs };
        }
        return undefined;
      },
      nameOf: ({ key }) => key,
      bytesOf: ({ key, tags }) => tags.reduce((sum, tag) => sum + tag.length, Buffer.byteLength(key) + rowOverheadBytes),
      after,
      rowsMax,
      clock: core.settings.clock,
      isClosed: () => this.#isClosed,
    });
  }

  #tags({ below, after, rowsMax }: m.TagsAsked): Promise<m.CachePage<m.ListedTag>> {
    const { trie, settings } = this.#options.core;
    return listPage({
      items: trie.tags(),
      count: trie.stats().nodes,
      // Tags of keys are the cache's own: only a request that names them gets them.
      orderOf: ({ tag }) => (isBelow(tag, below) && (below !== rootTag || !isBelow(tag, keysTag)) ? treeOrder(tag) : undefined),
      rowOf: (known) => known,
      nameOf: ({ tag }) => tag,
      bytesOf: ({ tag }) => tag.length + rowOverheadBytes,
      after: after === undefined ? undefined : treeOrder(after),
      rowsMax,
      clock: settings.clock,
      isClosed: () => this.#isClosed,
    });
  }

  /** Does work that takes many steps, for limits.cacheStepsMax requests at a time. */
  async #inSteps<Answer>(answer: Codec<Answer>, work: () => Promise<Answer>): Promise<Uint8Array> {
    const { cacheStepsMax: countMax } = limits;
    if (this.#underWay >= countMax) throw new ServerBusyError({ what: "listings and prunings", countMax });
    this.#underWay++;
    try {
      return writeAnswer(answer, await work());
    } finally {
      this.#underWay--;
    }
  }
}

/** Bytes of a row in addition to its texts. */
const rowOverheadBytes = 24;
const keysTag = keyTag("x").slice(0, keyTag("x").indexOf(":")) as Tag;

/** Tiers of this process alone, the fastest first. It does not list results that nodes share in a bucket. */
function tiersOf({ memory, disk }: CacheCore): readonly Pick<EntryStore, "kind" | "keys" | "peek" | "stats">[] {
  return disk === undefined ? [memory] : [memory, disk];
}

function* keysIn(tiers: readonly Pick<EntryStore, "keys">[]): Iterable<string> {
  for (const tier of tiers) yield* tier.keys();
}

/** As a message carries it: a time to live may be longer than the largest safe integer. */
function wholeMs(ms: number): number {
  return Math.min(Math.max(0, Math.round(ms)), Number.MAX_SAFE_INTEGER);
}

/** Orders tags so that those below a tag come right after it. */
function treeOrder(tag: string): string {
  return tag.replaceAll(":", "\0");
}
