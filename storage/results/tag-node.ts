import type { Tag } from "../../core/index.js";

/** State of this process when a computation began. */
export interface Began {
  /**
   * Sequence of the bus. It is stored with the result, and compared with the tags' versions anywhere in the same epoch.
   */
  readonly sequence: number;
  /**
   * Number of local invalidations before it, counted in this process only; 0 for a result of another process, or of
   * this one before its restart.
   */
  readonly local: number;
  /** The sequence, continued over resets: it only rises in this process, even when the bus's sequences begin anew. */
  readonly position: number;
}

/** Last use of a node that nothing has ever depended on: before every time. */
export const never = -(2 ** 30);

/** One tag; or, without a name, the rest below a tag: all tags below it that have no node of their own. */
export class TagNode {
  readonly tag: Tag;
  readonly parent: TagNode | undefined;
  /** Position of the latest invalidation of this tag, or, where that is unknown, a position not before it. */
  version: number;
  /** Stands for all tags below this one that have no node; its version is the floor. */
  rest: TagNode | undefined = undefined;
  /**
   * Number of dependencies, children and pending invalidations, plus one if something depends on the rest: they keep
   * this node.
   */
  holds = 0;
  pendings = 0;
  /** The latest pending invalidation; 0 when there is none. */
  pendingLocal = 0;
  /** When the last dependency ended, in whole milliseconds: a small integer takes no memory of its own. */
  usedAtMs = never;

  constructor(tag: Tag, parent: TagNode | undefined, version: number) {
    this.tag = tag;
    this.parent = parent;
    this.version = version;
  }
}

/** Whether `node` stands for all tags below its parent that have no node of their own. */
export function isRest(node: TagNode): node is TagNode & { readonly parent: TagNode } {
  return node.parent?.rest === node;
}

/** Whether an invalidation of `node`, or of one of its parents, may have come after `began`. */
export function isStaleAt(node: TagNode, began: Began): boolean {
  for (let at: TagNode | undefined = node; at !== undefined; at = at.parent) {
    if (at.version > began.position || at.pendingLocal > began.local) return true;
  }
  return false;
}
