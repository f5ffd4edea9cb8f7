import { assert, type Clock, limits, rootTag, type Tag } from "../../core/index.js";
import { type Began, isStaleAt, TagNode } from "./tag-node.js";
import { type TagForgetting, type TagPruning, TagTree } from "./tag-tree.js";

export type { Began } from "./tag-node.js";
export type { TagForgetting, TagPruning } from "./tag-tree.js";

declare const dependencyBrand: unique symbol;

/** What an entry depends on: made by `depend`, kept with the entry, given back by `release` exactly once. */
export interface Dependency {
  readonly [dependencyBrand]: true;
}

/** A local invalidation that the bus has not numbered yet. */
export interface PendingTag {
  readonly tag: Tag;
  readonly local: number;
}

/** A tag, and what is known of its own invalidations; those of its parents count for it too. */
export interface KnownTag {
  readonly tag: Tag;
  /** Sequence of its latest one; 0: none after the latest of everything. */
  readonly version: number;
  /** One of this process has no sequence yet. */
  readonly isPending: boolean;
}

class PendingAt implements PendingTag {
  readonly tag: Tag;
  local: number;
  /** Its node, and the rests that may stand for it; none once it is settled. */
  nodes: readonly TagNode[];

  constructor(tag: Tag, local: number, nodes: readonly TagNode[]) {
    this.tag = tag;
    this.local = local;
    this.nodes = nodes;
  }
}

/**
 * Versions of the tags that something here depends on. An entry is stale once one of its tags, or a parent of one, was invalidated after its
 * computation began. An invalidation costs its depth, whatever depends on it; what became stale is found when it is asked for.
 *
 *     root ─ a ─ a:b ─ a:b:c       the version of a tag counts for all below it
 *             └─ (rest)            the floor of `a`: the greatest version of what is missing below it
 *
 * 1. What is judged by a node is never judged later than by the tag's own invalidations: a node that goes leaves the greater of its version
 *    and its floor as its parent's floor, a node that comes starts with the floor that judged it until then. Too early, never too late.
 * 2. Where there is no room for a node, the rest stands in for it, and while something depends on a rest, every invalidation below it counts
 *    for it too, with a node of its own or without.
 * 3. Pending: under the tag only what began in this process after the invalidation is valid, until the bus has numbered it.
 * 4. Sequences may begin anew after a reset, positions never do: versions are positions, and everything known before a reset is below it.
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
  /** The greatest version of any node: what began there or after it is valid, unless something is pending. */
  #newest = 0;
  /** The greatest position that anything known here began at: a neighbour may be ahead of this process. */
  #furthest = 0;
  /** From 1, so that 0 lies before every local invalidation. */
  #local = 1;
  #began: Began = { sequence: 0, local: 1, position: 0 };

  constructor(options: { readonly clock: Clock; readonly nodesMax?: number; readonly unusedMax?: number }) {
    this.#tree = new TagTree({
      clock: options.clock,
      nodesMax: options.nodesMax ?? limits.tagsMax,
      unusedMax: options.unusedMax ?? limits.tagsUnusedMax,
      onFloorRaised: () => this.#version++,
    });
  }

  /** Changes whenever anything may have become stale: what was valid at this version is valid as long as it stands. */
  get version(): number {
    return this.#version;
  }

  /** Tags that have versions of their own here, the root among them. */
  get size(): number {
    return this.#tree.size;
  }

  /** The highest sequence applied. */
  get sequence(): number {
    return this.#sequence;
  }

  /** What is known now, for a computation that begins. The same object as before while no invalidation came in between. */
  begin(): Began {
    return this.#began;
  }

  /** What another process, or this one before a restart, knew at `sequence`. Whether that was the same epoch is for the caller to compare. */
  beganElsewhere(sequence: number): Began {
    assert(Number.isSafeInteger(sequence) && sequence >= 0, "a sequence is a safe integer from 0");
    const position = this.#base + sequence;
    this.#furthest = Math.max(this.#furthest, position);
    return { sequence, local: 0, position };
  }

  /** Judges by `tags` from now on; by the root alone when there are none. Cost: the levels that have no node yet. */
  depend(tags: readonly Tag[]): Dependency {
    let held: TagNode | TagNode[];
    if (tags.length <= 1) held = this.#tree.hold(tags[0] ?? rootTag);
    else held = tags.map((tag) => this.#tree.hold(tag));
    return held as unknown as Dependency;
  }

  /** Ends a dependency. Once for each `depend`. */
  release(dependency: Dependency): void {
    const held = dependency as unknown as TagNode | readonly TagNode[];
    if (held instanceof TagNode) this.#tree.letGo(held);
    else for (const node of held) this.#tree.letGo(node);
  }

  /**
   * Whether an invalidation that counts for `dependency` may have come after `began`.
   * One comparison when nothing at all did; otherwise a few for each level of each tag.
   */
  isStale(dependency: Dependency, began: Began): boolean {
    if (began.position >= this.#newest && (this.#pendings === 0 || began.local >= this.#local)) return false;
    const held = dependency as unknown as TagNode | readonly TagNode[];
    if (held instanceof TagNode) return isStaleAt(held, began);
    for (const node of held) if (isStaleAt(node, began)) return true;
    return false;
  }

  /** `isStale` of what would depend on `tags`, of which nothing is made or kept. */
  isStaleFor(tags: readonly Tag[], began: Began): boolean {
    if (tags.length === 0) return isStaleAt(this.#tree.root, began);
    return tags.some((tag) => isStaleAt(this.#tree.judging(tag), began));
  }

  /** An invalidation that the bus has numbered. They come in the bus's order, more than once at most; each counts whatever its order. */
  apply(tag: Tag, sequence: number): void {
    this.#raise(tag, sequence, this.#tree.unused);
    this.advance(sequence);
  }

  /** All invalidations up to `sequence` have been applied: nothing becomes stale. */
  advance(sequence: number): void {
    if (sequence <= this.#sequence) return;
    assert(Number.isSafeInteger(sequence), "a sequence is a safe integer");
    this.#sequence = sequence;
    this.#setBegan();
  }

  /** An invalidation of this process that has no sequence yet: counts from now on. Has its node even where there is no room: who pends has a bound. */
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

  /** It was invalidated once more, before the bus has numbered it: what began since is stale too. */
  pendAgain(pending: PendingTag): void {
    assert(pending instanceof PendingAt && pending.nodes.length > 0, "what pends again was not settled");
    pending.local = ++this.#local;
    // What depends on a rest only since then is not below the tag: that has a node.
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
   * The bus has numbered a pending invalidation. What was computed since it began to pend is computed once more, at most.
   * `undefined`: it was numbered in another epoch than this trie is in. Then nothing known here is valid under its tag before the sequence
   * moves on, or a reset tells of that epoch: entries that began before it must not become valid again in between. Once for each pending.
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
   * Everything known before is stale: the bus is in another epoch, or has a gap that cannot be filled, and all is known up to `sequence` of it.
   * Pending invalidations stay so. A reset to the sequence that was known needs an epoch of its own: shared tiers tell only by the two.
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

  /** The sequence of the latest invalidation that judges `tag`: its own, a parent's, or a floor. 0: none in this epoch. */
  tagVersion(tag: Tag): number {
    let version = 0;
    for (let node: TagNode | undefined = this.#tree.judging(tag); node !== undefined; node = node.parent) {
      version = Math.max(version, node.version);
    }
    return Math.max(0, version - this.#base);
  }

  /**
   * Removes tags that nothing has depended on for `unusedMs`, for about `budgetMs`. Their versions stay as floors.
   * Cost: what it removes; what is in use is not looked at.
   */
  prune(unusedMs: number, budgetMs: number): TagPruning {
    return this.#tree.prune(unusedMs, budgetMs);
  }

  /** Removes tags that nothing has depended on for `unusedMs` and whose version is not above that of a parent, for about `budgetMs`. */
  forget(unusedMs: number, budgetMs: number): TagForgetting {
    return this.#tree.forget(unusedMs, budgetMs);
  }

  /** Since when nothing has depended on the tag that is idle longest; Infinity: none is idle. */
  get idleSinceMs(): number {
    return this.#tree.idleSinceMs;
  }

  /** Calls `tell` with the moment at which nothing depends on a tag any more. For one who listens. */
  onIdle(tell: (atMs: number) => void): void {
    this.#tree.onIdle = tell;
  }

  /** Tags that have versions of their own here, in no order, the root among them. Lazy: what changes meanwhile may be in it or not. */
  *tags(): Iterable<KnownTag> {
    const { root } = this.#tree;
    for (const node of this.#tree.nodes()) {
      const isSuperseded = node !== root && node.version <= root.version;
      yield { tag: node.tag, version: isSuperseded ? 0 : Math.max(0, node.version - this.#base), isPending: node.pendings > 0 };
    }
  }

  /** Tags that have versions of their own here, the root among them, and local invalidations without a sequence. */
  stats(): { readonly nodes: number; readonly pending: number } {
    return { nodes: this.#tree.size, pending: this.#pendings };
  }

  /** No version, and nothing that began, has a position above this one. */
  #highest(): number {
    return Math.max(this.#newest, this.#furthest, this.#base + this.#sequence);
  }

  #setBegan(): void {
    this.#began = { sequence: this.#sequence, local: this.#local, position: this.#base + this.#sequence };
  }

  /** Makes `tag` no older than `sequence`. Its node, if nothing holds it, comes last in `list`. */
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
