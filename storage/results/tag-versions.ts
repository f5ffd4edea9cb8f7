import type { TagSequence } from "./entry-store.js";
import { rootTag, type Tag } from "../../core/tag.js";

export interface TagVersionsOptions {
  readonly tagsMax: number;
  readonly floor: number;
  /** Versions that were kept, in the order of their sequences. This object owns the map from now on. */
  readonly versions: Map<Tag, number>;
  /** Called for each change, so that it is written to disk; `sequence` undefined: the version was forgotten. */
  readonly changed: (tag: Tag, sequence: number | undefined) => void;
  /** Called when all versions are forgotten, except those that `changed` reports afterwards. */
  readonly begunAnew: () => void;
}

/**
 * Versions of all tags that were invalidated, exact for each tag, in bounded space.
 *
 *     1. An entry is stale when one of its tags, or a parent of one, has a version after the entry's own.
 *     2. Forgotten versions leave the greatest of them as the floor: an entry older than the floor is stale, with any
 *        tags.
 *     3. Under a pending tag every entry is stale.
 *
 * The trie serves entries in memory, and has nodes for the tags that they depend on. Here it is not known which tags
 * entries depend on.
 */
export class TagVersions {
  readonly #tagsMax: number;
  readonly #changed: TagVersionsOptions["changed"];
  readonly #begunAnew: () => void;
  /** In the order in which they were set, which is approximately the order of their sequences. */
  readonly #versions: Map<Tag, number>;
  readonly #pending = new Map<Tag, number>();
  #floor: number;
  #newest: number;
  #version = 0;

  constructor(options: TagVersionsOptions) {
    this.#tagsMax = options.tagsMax;
    this.#changed = options.changed;
    this.#begunAnew = options.begunAnew;
    this.#floor = options.floor;
    this.#versions = options.versions;
    this.#newest = options.floor;
    for (const sequence of this.#versions.values()) this.#newest = Math.max(this.#newest, sequence);
    while (this.#versions.size > this.#tagsMax) this.#forgetOldest();
  }

  /** Changes when anything may have become stale or, because a tag is no longer pending, valid again. */
  get version(): number {
    return this.#version;
  }

  get floor(): number {
    return this.#floor;
  }

  get size(): number {
    return this.#versions.size;
  }

  /** The sequence of the latest invalidation that judges `tag`: its own, one of a parent, or the floor. */
  versionOf(tag: Tag): number {
    let version = this.#floor;
    for (let above: Tag = tag; ;) {
      version = Math.max(version, this.#versions.get(above) ?? 0);
      const end = above.lastIndexOf(":");
      if (end === -1) return version;
      above = above.slice(0, end) as Tag;
    }
  }

  /** At most `countMax` tags that have versions: the last ones that were set, the latest sequence first. */
  latest(countMax: number): readonly TagSequence[] {
    const all = Array.from(this.#versions, ([tag, sequence]) => ({ tag, sequence }));
    return all.slice(-countMax).toSorted((a, b) => b.sequence - a.sequence);
  }

  set(tag: Tag, sequence: number): void {
    if (sequence <= this.#floor || sequence <= (this.#versions.get(tag) ?? 0)) return;
    this.#version++;
    this.#newest = Math.max(this.#newest, sequence);
    if (tag === rootTag) {
      this.forget(sequence);
      return;
    }
    this.#versions.delete(tag);
    this.#versions.set(tag, sequence);
    this.#changed(tag, sequence);
    if (this.#versions.size > this.#tagsMax) this.#forgetOldest();
  }

  /** Replaces all versions up to `floor` by the floor. */
  forget(floor: number): void {
    this.#version++;
    this.#raiseFloor(floor);
    const left = this.#newest <= floor ? [] : [...this.#versions].filter(([, sequence]) => sequence > floor);
    this.#beginAnew();
    for (const [tag, sequence] of left) {
      this.#versions.set(tag, sequence);
      this.#changed(tag, sequence);
    }
  }

  /** Begins another epoch: sequences count from `floor`. Pending tags stay pending. */
  reset(floor: number): void {
    this.#version++;
    this.#beginAnew();
    this.#floor = floor;
    this.#newest = floor;
  }

  pend(tag: Tag): void {
    this.#version++;
    this.#pending.set(tag, (this.#pending.get(tag) ?? 0) + 1);
  }

  /** `tag` is no longer pending. Call it once for each `pend`. */
  unpend(tag: Tag): void {
    this.#version++;
    const count = this.#pending.get(tag) ?? 0;
    if (count > 1) this.#pending.set(tag, count - 1);
    else this.#pending.delete(tag);
  }

  isStale(tags: readonly Tag[], sequence: number): boolean {
    if (this.#pending.size === 0 && sequence >= this.#newest) return false;
    if (sequence < this.#floor || this.#pending.has(rootTag)) return true;
    for (const tag of tags) if (this.#isStaleBy(tag, sequence)) return true;
    return false;
  }

  #isStaleBy(tag: Tag, sequence: number): boolean {
    for (let above: Tag = tag; ;) {
      if ((this.#versions.get(above) ?? 0) > sequence || (this.#pending.size > 0 && this.#pending.has(above))) return true;
      const end = above.lastIndexOf(":");
      if (end === -1) return false;
      above = above.slice(0, end) as Tag;
    }
  }

  #beginAnew(): void {
    if (this.#versions.size === 0) return;
    this.#versions.clear();
    this.#begunAnew();
  }

  /**
   * Forgets several at a time: the cost is spread over the tags that this makes room for, and does not block the
   * process.
   */
  #forgetOldest(): void {
    let count = Math.ceil(this.#tagsMax / 100);
    for (const [tag, sequence] of this.#versions) {
      if (count-- === 0) break;
      this.#raiseFloor(sequence);
      this.#versions.delete(tag);
      this.#changed(tag, undefined);
    }
  }

  #raiseFloor(sequence: number): void {
    this.#floor = Math.max(this.#floor, sequence);
  }
}
