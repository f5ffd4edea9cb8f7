import { assert, type Clock, limits, rootTag, type Tag } from "../../core/index.js";
import { type Began, isStaleAt, TagNode } from "./tag-node.js";
import { type TagForgetting, type TagPruning, TagTree } from "./tag-tree.js";
import { Ticks } from "./ticks.js";

export type { Began } from "./tag-node.js";
export type { TagForgetting, TagPruning } from "./tag-tree.js";

declare const dependencyBrand: unique symbol;

/** The dependency of an entry: created by `depend`, kept with the entry, ended by `release` exactly once. */
export interface Dependency {
  readonly [dependencyBrand]: true;
}

/** A local invalidation that the bus has not numbered yet. */
export interface PendingTag {
  readonly tag: Tag;
  readonly local: number;
}

/** A tag, and its own known invalidations; those of its parents count for it too. */
export interface KnownTag {
  readonly tag: Tag;
  /** Sequence of its latest invalidation; 0: none after the latest invalidation of everything. */
  readonly version: number;
  /** Whether an invalidation by this process has no sequence yet. */
  readonly isPending: boolean;
}

export interface TagTrieOptions {
  readonly clock: Clock;
  /** Default: ticks of `clock`. */
  readonly ticks?: Ticks;
  readonly nodesMax?: number;
  readonly unusedMax?: number;
}

class PendingAt implements PendingTag {
  readonly tag: Tag;
  local: number;
  /** Its node, and the rests that may stand for it; empty once it is settled. */
  nodes: readonly TagNode[];

  constructor(tag: Tag, local: number, nodes: readonly TagNode[]) {
    this.tag = tag;
    this.local = local;
    this.nodes = nodes;
  }
}

/**
 * Versions of the tags that something here depends on. An entry is stale when one of its tags, or a parent of one, was
 * invalidated after its computation began. An invalidation costs its depth, for any number of dependents; stale entries
 * are found when they are requested.
 *
 *     root ─ a ─ a:b ─ a:b:c       the version of a tag counts for all below it
 *             └─ (rest)            the floor of `a`: the greatest version of the tags that are missing below it
 *
 * 1. A node never judges a tag later than the tag's own invalidations would: a removed node raises its parent's floor
 *    to the greater of its version and its floor, and a new node starts with the floor that judged its tag before. A
 *    result may become stale too early, never too late.
 * 2. When there is no room for a node, the rest takes its place. While something depends on a rest, every invalidation
 *    below it counts for it too, whether its tag has a node or not.
 * 3. Pending: until the bus has numbered an invalidation, only results that began in this process after it are valid
 *    under its tag.
 * 4. Sequences may begin anew after a reset, positions never do: versions are positions, and every position known
 *    before a reset is below it.
 *
 * Source: ZooCache's prefix trie; the rules are DESIGN's, "Trie" and "Pending".
 */
export class TagTrie {
  readonly #tree: TagTree;
  #pendings = 0;

  #version = 0;
  #sequence = 0;
  /** Position of sequence 0. */
  #base = 0;
  /** The greatest version of any node: a result that began at it or later is valid, unless something is pending. */
  #newest = 0;
  /** The greatest position at which any known computation began: another process may be ahead of this one. */
  #furthest = 0;
  /** From 1, so that 0 is before every local invalidation. */
  #local = 1;
  #began: Began = { sequence: 0, local: 1, position: 0 };

  constructor(options: TagTrieOptions) {
    const { clock, ticks = new Ticks(clock) } = options;
    this.#tree = new TagTree({
      clock,
      ticks,
      nodesMax: options.nodesMax ?? limits.tagsMax,
      unusedMax: options.unusedMax ?? limits.tagsUnusedMax,
      onFloorRaised: () => this.#version++,
    });
  }

  /**
   * Changes when anything may have become stale: a result that is valid at this version stays valid until it changes.
   */
  get version(): number {
    return this.#version;
  }

  /** Number of tags that have versions of their own here, including the root. */
  get size(): number {
    return this.#tree.size;
  }

  /** The highest sequence applied. */
  get sequence(): number {
    return this.#sequence;
  }

  /** State for a computation that begins now. The same object until the state changes. */
  begin(): Began {
    return this.#began;
  }

  /**
   * State of another process, or of this one before a restart, at `sequence`. The caller checks that the epoch is the
   * same.
   */
  beganElsewhere(sequence: number): Began {
    assert(Number.isSafeInteger(sequence) && sequence >= 0, "a sequence is a safe integer from 0");
    const position = this.#base + sequence;
    this.#furthest = Math.max(this.#furthest, position);
    return { sequence, local: 0, position };
  }

  /** Holds the nodes that judge `tags`; with no tags, the root. Cost: the levels that have no node yet. */
  depend(tags: readonly Tag[]): Dependency {
    let held: TagNode | TagNode[];
    if (tags.length <= 1) held = this.#tree.hold(tags[0] ?? rootTag);
    else held = tags.map((tag) => this.#tree.hold(tag));
    return held as unknown as Dependency;
  }

  /** Ends a dependency. Call it once for each `depend`. */
  release(dependency: Dependency): void {
    const held = dependency as unknown as TagNode | readonly TagNode[];
    if (held instanceof TagNode) this.#tree.release(held);
    else for (const node of held) this.#tree.release(node);
  }

  /**
   * Whether an invalidation that counts for `dependency` may have come after `began`.
   * One comparison if there was none at all; otherwise a few for each level of each tag.
   */
  isStale(dependency: Dependency, began: Began): boolean {
    if (began.position >= this.#newest && (this.#pendings === 0 || began.local >= this.#local)) return false;
    const held = dependency as unknown as TagNode | readonly TagNode[];
    if (held instanceof TagNode) return isStaleAt(held, began);
    for (const node of held) if (isStaleAt(node, began)) return true;
    return false;
  }

  /** `isStale` for a result that would depend on `tags`. Creates and keeps no nodes. */
  isStaleFor(tags: readonly Tag[], began: Began): boolean {
    if (tags.length === 0) return isStaleAt(this.#tree.root, began);
    return tags.some((tag) => isStaleAt(this.#tree.judging(tag), began));
  }

  /**
   * Applies an invalidation that the bus has numbered. Invalidations come in the bus's order, possibly more than once;
   * each counts in any order.
   */
  apply(tag: Tag, sequence: number): void {
    this.#raise(tag, sequence, this.#tree.unused);
    this.advance(sequence);
  }

  /** All invalidations up to `sequence` are applied: nothing becomes stale. */
  advance(sequence: number): void {
    if (sequence <= this.#sequence) return;
    assert(Number.isSafeInteger(sequence), "a sequence is a safe integer");
    this.#sequence = sequence;
    this.#setBegan();
  }

  /**
   * Adds an invalidation of this process that has no sequence yet: it counts from now on. It gets a node even beyond
   * the bound on nodes, because the number of pending invalidations is bounded elsewhere.
   */
  pend(tag: Tag): PendingTag {
    this.#local++;
    const own = this.#tree.get(tag) ?? this.#tree.grow(tag, Infinity);
    const nodes = [own, ...this.#tree.restsAbove(own)];
    for (const node of nodes) {
      this.#tree.keep(node);
      node.pendings++;
      node.pendingLocal = this.#local;
    }
    this.#pendings++;
    this.#version++;
    this.#setBegan();
    return new PendingAt(tag, this.#local, nodes);
  }

  /**
   * The tag was invalidated again before the bus numbered the invalidation: results that began in between are stale
   * too.
   */
  pendAgain(pending: PendingTag): void {
    assert(pending instanceof PendingAt && pending.nodes.length > 0, "an invalidation that pends again is not settled");
    pending.local = ++this.#local;
    // Results that depend on a rest only since then do not depend on a tag below this one, because this tag has a node.
    for (const node of pending.nodes) node.pendingLocal = this.#local;
    this.#version++;
    this.#setBegan();
  }

  /** Whether an invalidation of this process that has no sequence yet counts for any of `tags`. */
  isPending(tags: readonly Tag[]): boolean {
    if (this.#pendings === 0) return false;
    if (this.#tree.root.pendings > 0) return true;
    return tags.some((tag) => {
      for (let end = tag.length; end > 0; end = tag.lastIndexOf(":", end - 1)) {
        if ((this.#tree.get(tag.slice(0, end) as Tag)?.pendings ?? 0) > 0) return true;
      }
      return false;
    });
  }

  /**
   * The bus has numbered a pending invalidation. Results that began while it was pending may be computed once more.
   * `undefined`: it was numbered in another epoch than that of this trie. Then no known result under its tag is valid
   * until the sequence moves on, or `reset` begins that epoch: entries that began before the invalidation must not
   * become valid again in between. Call it once for each pending invalidation.
   */
  settle(pending: PendingTag, sequence: number | undefined): void {
    assert(pending instanceof PendingAt && pending.nodes.length > 0, "a pending invalidation is settled once");
    const { nodes } = pending;
    pending.nodes = [];
    this.#raise(pending.tag, sequence ?? this.#highest() + 1 - this.#base, this.#tree.idle);
    for (const node of nodes) {
      node.pendings--;
      if (node.pendings === 0) node.pendingLocal = 0;
      this.#tree.drop(node, this.#tree.unused);
    }
    this.#pendings--;
    this.#version++;
  }

  /**
   * Makes everything known before stale: the bus is in another epoch, or has a gap that cannot be filled. Everything up
   * to `sequence` of the bus is known from now on. Pending invalidations stay pending. A reset to the sequence that was
   * known before needs a new epoch, because shared tiers distinguish states only by epoch and sequence.
   */
  reset(sequence: number): void {
    assert(Number.isSafeInteger(sequence) && sequence >= 0, "a sequence is a safe integer from 0");
    const after = this.#highest() + 1;
    this.#base = Math.max(this.#base, after - sequence);
    this.#sequence = sequence;
    const { root } = this.#tree;
    root.version = this.#base + sequence;
    this.#newest = root.version;
    this.#version++;
    this.#setBegan();
  }

  /**
   * The sequence of the latest invalidation that judges `tag`: its own, a parent's, or a floor. 0: none in this epoch.
   */
  tagVersion(tag: Tag): number {
    let version = 0;
    for (let node: TagNode | undefined = this.#tree.judging(tag); node !== undefined; node = node.parent) {
      version = Math.max(version, node.version);
    }
    return Math.max(0, version - this.#base);
  }

  /**
   * Removes tags that nothing has depended on for `unusedMs`, for about `budgetMs`. Their versions stay as floors.
   * Cost: proportional to the removed tags; tags in use are not visited.
   */
  prune(unusedMs: number, budgetMs: number): TagPruning {
    return this.#tree.prune(unusedMs, budgetMs);
  }

  /**
   * Removes tags that nothing has depended on for `unusedMs` and whose version is not above that of a parent, for about
   * `budgetMs`.
   */
  forget(unusedMs: number, budgetMs: number): TagForgetting {
    return this.#tree.forget(unusedMs, budgetMs);
  }

  /** Time since which nothing has depended on the tag that is idle for longest; Infinity: no tag is idle. */
  get idleSinceMs(): number {
    return this.#tree.idleSinceMs;
  }

  /** Calls `listener` with the time at which nothing depends on a tag any more. There is one listener. */
  onIdle(listener: (atMs: number) => void): void {
    this.#tree.onIdle = listener;
  }

  /**
   * Tags that have versions of their own here, including the root, in no order. Lazy: it may include changes made
   * meanwhile or not.
   */
  *tags(): Iterable<KnownTag> {
    const { root } = this.#tree;
    for (const node of this.#tree.nodes()) {
      const isSuperseded = node !== root && node.version <= root.version;
      yield { tag: node.tag, version: isSuperseded ? 0 : Math.max(0, node.version - this.#base), isPending: node.pendings > 0 };
    }
  }

  /**
   * Number of tags that have versions of their own here, including the root, and of local invalidations without a
   * sequence.
   */
  stats(): { readonly nodes: number; readonly pending: number } {
    return { nodes: this.#tree.size, pending: this.#pendings };
  }

  /** The highest position: no version, and no known computation, has a higher one. */
  #highest(): number {
    return Math.max(this.#newest, this.#furthest, this.#base + this.#sequence);
  }

  #setBegan(): void {
    this.#began = { sequence: this.#sequence, local: this.#local, position: this.#base + this.#sequence };
  }

  /** Raises the version of `tag` to at least `sequence`. Its node, if nothing holds it, becomes the last in `list`. */
  #raise(tag: Tag, sequence: number, list: Set<TagNode>): void {
    assert(Number.isSafeInteger(sequence) && sequence >= 0, "a sequence is a safe integer from 0");
    const version = this.#base + sequence;
    const found = this.#tree.get(tag);
    const node = found ?? this.#tree.grow(tag);
    node.version = Math.max(node.version, version);
    for (const rest of this.#tree.restsAbove(node)) rest.version = Math.max(rest.version, version);
    this.#newest = Math.max(this.#newest, version);
    this.#version++;
    this.#tree.invalidated(node, found === undefined, list);
  }
}
