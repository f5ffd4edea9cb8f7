import { assert, type Clock, limits, rootTag, type Tag } from "../../core/index.js";
import { isRest, never, TagNode } from "./tag-node.js";

/** What one step of pruning did. */
export interface TagPruning {
  /** Tags whose versions went into their parents' floors. */
  readonly removed: number;
  /** Nothing more is old enough. */
  readonly done: boolean;
}

/** What one step of forgetting did. */
export interface TagForgetting extends TagPruning {
  /** When the next tag is old enough, by the monotonic clock; Infinity: no tag waits for that. */
  readonly dueMs: number;
}

/** Nodes removed between two looks at the clock. */
const removedBetweenLooks = 64;

/** Where a tag without a node belongs. */
interface TagPosition {
  readonly ancestor: TagNode;
  readonly missing: number;
}

/** Bounds of a tree of tags, and who hears of what their keeping costs. */
export interface TagTreeOptions {
  readonly clock: Clock;
  readonly nodesMax: number;
  /** Nodes kept of tags that were invalidated and that nothing depends on. */
  readonly unusedMax: number;
  /** Called when more counts for what depends on a rest than did before. */
  readonly onFloorRaised: () => void;
}

/**
 * The nodes of a trie of tags: which there are, what holds them, and which go.
 *
 * 1. A node that goes leaves the greater of its version and its floor as its parent's floor; one that comes starts with the floor that judged it.
 * 2. Where there is no room for a node, the rest of its nearest ancestor stands in for it.
 * 3. A node is in the tree while it is held, and else in exactly one of the two lists that pruning takes from.
 */
export class TagTree {
  readonly #clock: Clock;
  readonly #nodesMax: number;
  readonly #unusedMax: number;
  readonly #onFloorRaised: () => void;
  readonly root = new TagNode(rootTag, undefined, 0);
  /** All nodes but the rests, by tag. One flat map is smaller than one of children in each node, and found in one look-up. */
  readonly #nodes = new Map<Tag, TagNode>([[rootTag, this.root]]);
  /** Not held any more, longest ago first. */
  readonly idle = new Set<TagNode>();
  /** Invalidated and not held since, longest ago first, at most #unusedMax: kept so that computations under way are judged exactly. */
  readonly unused = new Set<TagNode>();
  /** Called with the moment at which nothing depends on a node any more. */
  onIdle: ((atMs: number) => void) | undefined = undefined;
  /** Rests that something depends on. */
  #restsHeld = 0;

  constructor({ clock, nodesMax, unusedMax, onFloorRaised }: TagTreeOptions) {
    this.#clock = clock;
    this.#nodesMax = nodesMax;
    this.#unusedMax = unusedMax;
    this.#onFloorRaised = onFloorRaised;
    this.root.holds = 1;
  }

  /** Nodes, the root among them, the rests not. */
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

  /** What judges `tag` now, of which nothing is made. */
  judging(tag: Tag): TagNode {
    const found = this.#nodes.get(tag);
    if (found !== undefined) return found;
    const { ancestor } = this.#missing(tag);
    return ancestor.rest ?? ancestor;
  }

  /**
   * Removes tags that nothing has depended on for `unusedMs`, for about `budgetMs`. Their versions stay as floors.
   * Cost: what it removes; what is in use is not looked at.
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
   * Removes tags that nothing has depended on for `unusedMs` and of which nothing has to be remembered: they were not invalidated since what is above
   * them was. For about `budgetMs`. Cost: the tags that nothing depends on.
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
        // A step that found only tags to remember has nothing more to do for now.
        return { removed: before - this.#nodes.size, done: before === this.#nodes.size, dueMs };
    }
    return { removed: before - this.#nodes.size, done: true, dueMs };
  }

  /** Removes an idle node, and its parents that nothing holds then, as far as nothing is known of them. */
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

  /** Since when nothing has depended on the tag that is idle longest; Infinity: none is idle. */
  get idleSinceMs(): number {
    for (const list of [this.unused, this.idle]) for (const node of list) return node.usedAtMs;
    return Infinity;
  }

  /** What judges `tag` from now on, held until `letGo`. Cost: the levels that have no node yet. */
  hold(tag: Tag): TagNode {
    const node = this.#nodes.get(tag) ?? this.#made(tag);
    this.keep(node);
    return node;
  }

  /** What judges `tag`, which has no node, from now on. */
  #made(tag: Tag): TagNode {
    const position = this.#missing(tag);
    if (this.#nodes.size + position.missing <= this.#nodesMax) return this.grow(tag, this.#nodesMax, position);
    // Held meanwhile, so that making room does not take it.
    position.ancestor.holds++;
    this.#makeRoom(position.missing);
    position.ancestor.holds--;
    return this.grow(tag, this.#nodesMax, position);
  }

  /** Ends one `hold`. */
  letGo(node: TagNode): void {
    assert(node.holds > 0, "a dependency is released once");
    // Now, and not only when nothing holds it: tags below it may keep it for longer than it is in use.
    if (node.holds > 1) node.usedAtMs = this.#nowMs();
    this.drop(node, this.idle);
  }

  #nowMs(): number {
    return Math.floor(this.#clock.monotonic());
  }

  /** Holds `node` until it is dropped. */
  keep(node: TagNode): void {
    node.holds++;
    if (node.holds > 1) return;
    if (isRest(node)) {
      this.#restsHeld++;
      this.keep(node.parent);
    } else if (!this.idle.delete(node)) this.unused.delete(node);
  }

  /** Ends one `keep`; a node that nothing holds comes last in `list`. */
  drop(node: TagNode, list: Set<TagNode>): void {
    node.holds--;
    if (node.holds > 0) return;
    if (isRest(node)) {
      this.#restsHeld--;
      this.drop(node.parent, list);
    } else this.#list(node, list);
  }

  /** `node` was invalidated: comes last in `list` if nothing holds it and it is new, or was unused. */
  invalidated(node: TagNode, isNew: boolean, list: Set<TagNode>): void {
    if (node.holds > 0 || isRest(node)) return;
    if (isNew || this.unused.delete(node)) this.#list(node, list);
  }

  /** Puts a node that nothing holds last in `list`. */
  #list(node: TagNode, list: Set<TagNode>): void {
    node.usedAtMs = this.#nowMs();
    list.add(node);
    this.onIdle?.(node.usedAtMs);
    // Asked before there is an iterator, which a set would pay for each time.
    if (this.idle.size > limits.tagsIdleMax) this.#forgetFirstIdle();
    if (this.#isWithinBounds()) return;
    for (const first of this.unused) {
      this.#remove(first, never);
      if (this.#isWithinBounds()) return;
    }
  }

  #forgetFirstIdle(): void {
    for (const first of this.idle) {
      this.#remove(first, never);
      return;
    }
  }

  #isWithinBounds(): boolean {
    return this.unused.size <= this.#unusedMax && this.#nodes.size <= this.#nodesMax;
  }

  /** The node that `tag` has none of would be below, and how many are missing on the way to it. */
  #missing(tag: Tag): TagPosition {
    let missing = 1;
    for (let end = tag.lastIndexOf(":"); end !== -1; end = tag.lastIndexOf(":", end - 1)) {
      const ancestor = this.#nodes.get(tag.slice(0, end) as Tag);
      if (ancestor !== undefined) return { ancestor, missing };
      missing++;
    }
    return { ancestor: this.root, missing };
  }

  /** Makes the node of `tag`, which has none, with those on the way to it; or, where that would be more than `nodesMax`, the rest that stands in for it. */
  grow(tag: Tag, nodesMax: number = this.#nodesMax, { ancestor, missing } = this.#missing(tag)): TagNode {
    const floor = ancestor.rest?.version ?? 0;
    if (this.#nodes.size + missing > nodesMax) return (ancestor.rest ??= new TagNode(rootTag, ancestor, floor));
    let node = ancestor;
    let end = ancestor === this.root ? -1 : ancestor.tag.length;
    for (let level = 1; level <= missing; level++) {
      end = tag.indexOf(":", end + 1);
      const name = level === missing ? tag : (tag.slice(0, end) as Tag);
      this.keep(node);
      // The floor judged all that was missing: as the version of the first, it goes on to.
      node = new TagNode(name, node, level === 1 ? floor : 0);
      this.#nodes.set(name, node);
    }
    return node;
  }

  /** Rests that something depends on above `node`, and that may be the stand-in for its tag. */
  restsAbove(node: TagNode): TagNode[] {
    const rests: TagNode[] = [];
    if (this.#restsHeld === 0) return rests;
    for (let above = node.parent; above !== undefined; above = above.parent) {
      if (above.rest !== undefined && above.rest !== node && above.rest.holds > 0) rests.push(above.rest);
    }
    return rests;
  }

  /** Removes what has been idle longest until `missing` nodes fit, or nothing is left to be removed. */
  #makeRoom(missing: number): void {
    for (const list of [this.unused, this.idle]) {
      for (const node of list) {
        if (this.#nodes.size + missing <= this.#nodesMax) return;
        if (node.holds === 0) this.#remove(node, never);
      }
    }
  }

  /** Removes a node that nothing holds, and its parents that have not been used since `untilMs`; what it knew becomes a floor. */
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
