import { assert, type Clock, keptWhenFull, limits, rootTag, type Tag } from "../../core/index.js";
import { isRest, never, TagNode } from "./tag-node.js";
import type { Ticks } from "./ticks.js";

/** Result of one step of pruning. */
export interface TagPruning {
  /** Number of tags whose versions went into the floors of their parents. */
  readonly removed: number;
  /** Whether no further tag is old enough. */
  readonly done: boolean;
}

/** Result of one step of forgetting. */
export interface TagForgetting extends TagPruning {
  /** When the next tag is old enough, on the monotonic clock; Infinity: no tag waits for that. */
  readonly dueMs: number;
}

/** Nodes removed between two readings of the clock. */
const removedBetweenLooks = 64;

/** Place of a tag without a node: its nearest ancestor with a node, and the number of missing nodes below that. */
interface TagPosition {
  readonly ancestor: TagNode;
  readonly missing: number;
}

/** Bounds of a tree of tags, and a callback for raised floors. */
export interface TagTreeOptions {
  readonly clock: Clock;
  /** Ticks of `clock`. */
  readonly ticks: Ticks;
  readonly nodesMax: number;
  /** Maximum number of nodes of tags that were invalidated and that nothing depends on. */
  readonly unusedMax: number;
  /** Called when a floor that something depends on rises. */
  readonly onFloorRaised: () => void;
}

/**
 * The nodes of a trie of tags: which nodes exist, what holds them, and which are removed.
 *
 * 1. A node that is removed raises its parent's floor to the greater of its version and its own floor; a new node
 *    starts with the floor that judged its tag before.
 * 2. When there is no room for a node, the rest of its nearest ancestor takes its place.
 * 3. A held node stays in the tree; a node that is not held is in exactly one of the two lists from which pruning
 *    removes nodes.
 */
export class TagTree {
  readonly #clock: Clock;
  readonly #ticks: Ticks;
  readonly #nodesMax: number;
  readonly #unusedMax: number;
  readonly #onFloorRaised: () => void;
  readonly root = new TagNode(rootTag, undefined, 0);
  /**
   * All nodes except the rests, by tag. One flat map is smaller than a map of children in each node, and needs only one
   * look-up.
   */
  readonly #nodes = new Map<Tag, TagNode>([[rootTag, this.root]]);
  /** Nodes that are no longer held, the one idle for longest first. */
  readonly idle = new Set<TagNode>();
  /**
   * Nodes that were invalidated and not held since, the oldest first, at most #unusedMax: they are kept so that running
   * computations are judged exactly.
   */
  readonly unused = new Set<TagNode>();
  /** Called with the time at which nothing depends on a node any more. */
  onIdle: ((atMs: number) => void) | undefined = undefined;
  /** Number of rests that something depends on. */
  #restsHeld = 0;

  constructor({ clock, ticks, nodesMax, unusedMax, onFloorRaised }: TagTreeOptions) {
    this.#clock = clock;
    this.#ticks = ticks;
    this.#nodesMax = nodesMax;
    this.#unusedMax = unusedMax;
    this.#onFloorRaised = onFloorRaised;
    this.root.holds = 1;
  }

  /** Number of nodes, including the root, without the rests. */
  get size(): number {
    return this.#nodes.size;
  }

  nodes(): Iterable<TagNode> {
    return this.#nodes.values();
  }

  /** The node of `tag` itself. */
  get(tag: Tag): TagNode | undefined {
    return this.#nodes.get(tag);
  }

  /** The node that judges `tag` now. Creates nothing. */
  judging(tag: Tag): TagNode {
    const found = this.#nodes.get(tag);
    if (found !== undefined) return found;
    const { ancestor } = this.#missing(tag);
    return ancestor.rest ?? ancestor;
  }

  /**
   * Removes tags that nothing has depended on for `unusedMs`, for about `budgetMs`. Their versions stay as floors.
   * Cost: proportional to the removed nodes; nodes in use are not visited.
   */
  prune(unusedMs: number, budgetMs: number): TagPruning {
    const begunMs = this.#clock.monotonic();
    const untilMs = begunMs - unusedMs;
    const before = this.#nodes.size;
    let looked = before;
    for (const list of [this.unused, this.idle]) {
      for (const node of list) {
        if (node.usedAtMs > untilMs) break;
        this.#remove(node, untilMs);
        if (looked - this.#nodes.size < removedBetweenLooks) continue;
        looked = this.#nodes.size;
        if (this.#clock.monotonic() - begunMs >= budgetMs) return { removed: before - looked, done: false };
      }
    }
    return { removed: before - this.#nodes.size, done: true };
  }

  /**
   * Removes tags that nothing has depended on for `unusedMs` and whose versions need not be remembered, because their
   * parents have a later version or floor. Runs for about `budgetMs`. Cost: the tags that nothing depends on.
   */
  forget(unusedMs: number, budgetMs: number): TagForgetting {
    const begunMs = this.#clock.monotonic();
    const before = this.#nodes.size;
    let looked = 0;
    let dueMs = Infinity;
    for (const node of this.idle) {
      if (node.usedAtMs > begunMs - unusedMs) {
        dueMs = node.usedAtMs + unusedMs;
        break;
      }
      this.#forget(node);
      if (++looked % removedBetweenLooks === 0 && this.#clock.monotonic() - begunMs >= budgetMs)
        // If no tag was removed, all visited tags must be remembered, and there is nothing more to do for now.
        return { removed: before - this.#nodes.size, done: before === this.#nodes.size, dueMs };
    }
    return { removed: before - this.#nodes.size, done: true, dueMs };
  }

  /**
   * Removes an idle node, and then each parent that nothing holds, as long as their versions need not be remembered.
   */
  #forget(node: TagNode): void {
    for (let gone = node, parent = gone.parent; parent !== undefined; gone = parent, parent = gone.parent) {
      const known = Math.max(gone.version, gone.rest?.version ?? 0);
      if (known > Math.max(parent.version, parent.rest?.version ?? 0)) {
        if (gone !== node) this.#list(gone, this.idle);
        return;
      }
      this.idle.delete(gone);
      this.#nodes.delete(gone.tag);
      parent.holds--;
      if (parent.holds > 0) return;
    }
  }

  /** Time since which nothing has depended on the tag that is idle for longest; Infinity: no tag is idle. */
  get idleSinceMs(): number {
    for (const list of [this.unused, this.idle]) for (const node of list) return node.usedAtMs;
    return Infinity;
  }

  /** The node that judges `tag` from now on, held until `release`. Cost: the levels that have no node yet. */
  hold(tag: Tag): TagNode {
    const node = this.#nodes.get(tag) ?? this.#made(tag);
    this.keep(node);
    return node;
  }

  /** Creates the node that judges `tag`, which has none. */
  #made(tag: Tag): TagNode {
    const position = this.#missing(tag);
    if (this.#nodes.size + position.missing <= this.#nodesMax) return this.grow(tag, this.#nodesMax, position);
    // Held meanwhile, so that making room does not remove it.
    position.ancestor.holds++;
    this.#makeRoom(position.missing);
    position.ancestor.holds--;
    return this.grow(tag, this.#nodesMax, position);
  }

  /** Ends one `hold`. */
  release(node: TagNode): void {
    assert(node.holds > 0, "a dependency is released once");
    // The time is set even while other tags below it hold the node: they may hold it for longer than it is used.
    if (node.holds > 1) node.usedAtMs = this.#ticks.now();
    this.drop(node, this.idle);
  }

  /** Holds `node` until `drop`. */
  keep(node: TagNode): void {
    node.holds++;
    if (node.holds > 1) return;
    if (isRest(node)) {
      this.#restsHeld++;
      this.keep(node.parent);
    } else if (!this.idle.delete(node)) this.unused.delete(node);
  }

  /** Ends one `keep`; a node that nothing holds any more becomes the last in `list`. */
  drop(node: TagNode, list: Set<TagNode>): void {
    node.holds--;
    if (node.holds > 0) return;
    if (isRest(node)) {
      this.#restsHeld--;
      this.drop(node.parent, list);
    } else this.#list(node, list);
  }

  /** `node` was invalidated: it becomes the last in `list` if nothing holds it and it is new or was unused. */
  invalidated(node: TagNode, isNew: boolean, list: Set<TagNode>): void {
    if (node.holds > 0 || isRest(node)) return;
    if (isNew || this.unused.delete(node)) this.#list(node, list);
  }

  /** Makes a node that nothing holds the last in `list`. */
  #list(node: TagNode, list: Set<TagNode>): void {
    node.usedAtMs = this.#ticks.now();
    list.add(node);
    this.onIdle?.(node.usedAtMs);
    // The size is compared first, because creating an iterator costs more.
    if (this.idle.size > limits.tagsIdleMax) this.#forgetLongestIdle();
    if (this.#isWithinBounds()) return;
    for (const first of this.unused) {
      this.#remove(first, never);
      if (this.#isWithinBounds()) return;
    }
  }

  #forgetLongestIdle(): void {
    const kept = keptWhenFull(limits.tagsIdleMax);
    for (const first of this.idle) {
      if (this.idle.size <= kept) return;
      this.#remove(first, never);
    }
  }

  #isWithinBounds(): boolean {
    return this.unused.size <= this.#unusedMax && this.#nodes.size <= this.#nodesMax;
  }

  /** The nearest ancestor of `tag`, which has no node, and the number of missing nodes below that ancestor. */
  #missing(tag: Tag): TagPosition {
    let missing = 1;
    for (let end = tag.lastIndexOf(":"); end !== -1; end = tag.lastIndexOf(":", end - 1)) {
      const ancestor = this.#nodes.get(tag.slice(0, end) as Tag);
      if (ancestor !== undefined) return { ancestor, missing };
      missing++;
    }
    return { ancestor: this.root, missing };
  }

  /**
   * Creates the node of `tag`, which has none, and the missing nodes above it. If the tree would exceed `nodesMax`,
   * returns the rest that takes its place.
   */
  grow(tag: Tag, nodesMax: number = this.#nodesMax, { ancestor, missing } = this.#missing(tag)): TagNode {
    const floor = ancestor.rest?.version ?? 0;
    if (this.#nodes.size + missing > nodesMax) return (ancestor.rest ??= new TagNode(rootTag, ancestor, floor));
    let node = ancestor;
    let end = ancestor === this.root ? -1 : ancestor.tag.length;
    for (let level = 1; level <= missing; level++) {
      end = tag.indexOf(":", end + 1);
      const name = level === missing ? tag : (tag.slice(0, end) as Tag);
      this.keep(node);
      // The floor judged all missing tags: it becomes the version of the topmost new node, which counts for all below
      // it.
      node = new TagNode(name, node, level === 1 ? floor : 0);
      this.#nodes.set(name, node);
    }
    return node;
  }

  /** Rests above `node` that something depends on, and that may stand for its tag. */
  restsAbove(node: TagNode): TagNode[] {
    const rests: TagNode[] = [];
    if (this.#restsHeld === 0) return rests;
    for (let above = node.parent; above !== undefined; above = above.parent) {
      if (above.rest !== undefined && above.rest !== node && above.rest.holds > 0) rests.push(above.rest);
    }
    return rests;
  }

  /** Removes nodes, those idle for longest first, until `missing` nodes fit or no more can be removed. */
  #makeRoom(missing: number): void {
    for (const list of [this.unused, this.idle]) {
      for (const node of list) {
        if (this.#nodes.size + missing <= this.#nodesMax) return;
        if (node.holds === 0) this.#remove(node, never);
      }
    }
  }

  /**
   * Removes a node that nothing holds, and its parents that nothing holds and that were not used since `untilMs`; their
   * versions become floors.
   */
  #remove(node: TagNode, untilMs: number): void {
    if (!this.idle.delete(node)) this.unused.delete(node);
    for (let gone = node, parent = gone.parent; parent !== undefined; gone = parent, parent = gone.parent) {
      this.#nodes.delete(gone.tag);
      this.#raiseFloor(parent, Math.max(gone.version, gone.rest?.version ?? 0));
      parent.holds--;
      if (parent.holds > 0) return;
      if (parent.usedAtMs > untilMs) {
        this.idle.add(parent);
        return;
      }
    }
  }

  #raiseFloor(node: TagNode, floor: number): void {
    if (floor <= node.version) return;
    node.rest ??= new TagNode(rootTag, node, 0);
    if (floor <= node.rest.version) return;
    node.rest.version = floor;
    if (node.rest.holds > 0) this.#onFloorRaised();
  }
}
