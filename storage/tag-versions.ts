import { rootTag, type Tag } from "../words/tag.js";

/** What changed in the versions, for whoever keeps them on disk; `sequence` undefined: forgotten. */
export type VersionChanged = (tag: Tag, sequence: number | undefined) => void;

export interface TagVersionsOptions {
  readonly tagsMax: number;
  readonly floor: number;
  /** As they were kept, in the order of their sequences. */
  readonly versions: readonly (readonly [tag: Tag, sequence: number])[];
  readonly changed: VersionChanged;
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
  readonly #changed: VersionChanged;
  /** In the order in which they were set: of sequences, as good as. */
  readonly #versions = new Map<Tag, number>();
  readonly #pending = new Map<Tag, number>();
  #floor: number;
  #newest: number;
  #version = 0;

  constructor(options: TagVersionsOptions) {
    this.#tagsMax = options.tagsMax;
    this.#changed = options.changed;
    this.#floor = options.floor;
    this.#newest = options.floor;
    for (const [tag, sequence] of options.versions) {
      this.#versions.set(tag, sequence);
      this.#newest = Math.max(this.#newest, sequence);
    }
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
    for (const [tag, sequence] of this.#versions) {
      if (sequence > floor) continue;
      this.#versions.delete(tag);
      this.#changed(tag, undefined);
    }
  }

  /** Begins anew, in another epoch: sequences count from `floor`. What is pending stays so. */
  reset(floor: number): void {
    this.#version++;
    for (const tag of this.#versions.keys()) this.#changed(tag, undefined);
    this.#versions.clear();
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

  /** A tenth at a time: the walk is paid for by the tags that it makes room for. */
  #forgetOldest(): void {
    let count = Math.ceil(this.#tagsMax / 10);
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
