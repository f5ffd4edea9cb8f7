import type { TagSequence } from "./entry-store.js";
import { rootTag, type Tag } from "../../core/tag.js";

export interface TagVersionsOptions {
  readonly tagsMax: number;
  readonly floor: number;
  /** As they were kept, in the order of their sequences. They belong to the TagVersions from now on. */
  readonly versions: Map<Tag, number>;
  /** For whoever keeps them on disk; `sequence` undefined: forgotten. */
  readonly changed: (tag: Tag, sequence: number | undefined) => void;
  /** All are forgotten but those that are told next. */
  readonly begunAnew: () => void;
}

/**
 * Versions of all tags that were invalidated, exact for each, in bounded room.
 *
 *     1. An entry is stale once a tag of it, or one above, has a version after the entry's own.
 *     2. Versions that are forgotten leave the greatest of them as the floor: what is older than the floor is stale, whatever its tags.
 *     3. Under a pending tag everything is stale.
 *
 * The trie is for what is in memory: it has nodes for what entries there depend on. Here nobody says what depends on a tag.
 */
export class TagVersions {
  readonly #tagsMax: number;
  readonly #changed: TagVersionsOptions["changed"];
  readonly #begunAnew: () => void;
  /** In the order in which they were set: of sequences, as good as. */
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

  /** Changes whenever anything may have become stale or, as something is pending no more, good again. */
  get version(): number {
    return this.#version;
  }

  get floor(): number {
    return this.#floor;
  }

  get size(): number {
    return this.#versions.size;
  }

  /** The sequence of the latest invalidation that judges `tag`: its own, one above, or the floor. */
  versionOf(tag: Tag): number {
    let version = this.#floor;
    for (let above: Tag = tag; ;) {
      version = Math.max(version, this.#versions.get(above) ?? 0);
      const end = above.lastIndexOf(":");
      if (end === -1) return version;
      above = above.slice(0, end) as Tag;
    }
  }

  /** Some tags that have versions, those of the latest first. */
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

  /** Takes `floor` for all that it covers. */
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

  /** Begins anew, in another epoch: sequences count from `floor`. What is pending stays so. */
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

  /** `tag` was pending; once for each time. */
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

  /** Some at a time: the walk is paid for by the tags that it makes room for, and holds nobody up. */
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
