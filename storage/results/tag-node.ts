import type { Tag } from "../../core/index.js";

/** What was known here when a computation began. */
export interface Began {
  /** The bus's: travels with what was computed, to be compared with the tags' versions anywhere in the same epoch. */
  readonly sequence: number;
  /** Local invalidations before it, counted in this process only; 0 for what another process computed, or this one before its restart. */
  readonly local: number;
  /** The sequence counted on over resets: rises in this process whatever becomes of the bus. */
  readonly position: number;
}

/** When a node that nothing has ever depended on was last used: before every moment. */
export const never = -(2 ** 30);

/** One tag; or, without a name, the rest below one: everything there that has no node of its own. */
export class TagNode {
  readonly tag: Tag;
  readonly parent: TagNode | undefined;
  /** Position of the latest invalidation of this tag, or, where it is not known, of one not before it. */
  version: number;
  /** Stands for all that has no node below this one; its version is the floor. */
  rest: TagNode | undefined = undefined;
  /** Dependencies, children, pending invalidations, and the rest when something depends on it: what keeps this node. */
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

/** Whether `node` stands for all that has no node of its own below its parent. */
export function isRest(node: TagNode): node is TagNode & { readonly parent: TagNode } {
  return node.parent?.rest === node;
}

/** Whether an invalidation of `node`, or of one above it, may have come after `began`. */
export function isStaleAt(node: TagNode, began: Began): boolean {
  for (let at: TagNode | undefined = node; at !== undefined; at = at.parent) {
    if (at.version > began.position || at.pendingLocal > began.local) return true;
  }
  return false;
}
