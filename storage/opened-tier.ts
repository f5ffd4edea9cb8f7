import type { Clock } from "../words/clock.js";
import { StoreError } from "../words/errors.js";
import type { Log } from "../words/log.js";
import type { Tag } from "../words/tag.js";
import { everything } from "./cache-meta.js";
import { DiskEntry } from "./disk-entry.js";
import {
  aboutEntries,
  aboutKey,
  decodeAbout,
  decodeQueued,
  decodeTierMeta,
  decodeVersion,
  queuedInvalidations,
  type TierMeta,
  tierMetaKey,
  versionsOfTags,
} from "./entry-records.js";
import type { EntryPosition, QueuedInvalidation } from "./entry-store.js";
import type { ByteRange, OrderedStore, View } from "./ordered-store.js";

/** What an earlier process left. */
export interface OpenedTier {
  readonly position: EntryPosition | undefined;
  readonly floor: number;
  /** The least recently used first. */
  readonly entries: readonly DiskEntry[];
  /** In the order of their sequences. */
  readonly versions: readonly (readonly [tag: Tag, sequence: number])[];
  readonly queue: readonly (QueuedInvalidation & { readonly order: number })[];
  /** Keys in the store of what cannot be used. */
  readonly spoilt: readonly Uint8Array[];
}

interface TierOptions {
  readonly name: string;
  readonly countedBy: string | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

/** Reads all but the values of a tier in `store`. Throws StoreError when it holds something else. */
export function readTier(options: TierOptions, store: OrderedStore): OpenedTier {
  return store.read((view) => {
    const meta = readMeta(options, store, view);
    if (meta === undefined) return { ...empty, spoilt: keysIn(view, everything) };
    const versions = readVersions(view);
    const queue = readQueue(view);
    const flaw = meta.isDiscarded
      ? "a write had failed"
      : versions === undefined || queue === undefined
        ? "a version cannot be read"
        : meta.countedBy === undefined || meta.countedBy !== options.countedBy
          ? "another bus counts"
          : undefined;
    if (flaw === undefined) {
      return { ...readEntries(options, view), position: meta.position, floor: meta.floor, versions: versions ?? [], queue: queue ?? [] };
    }
    options.log.warn({ name: options.name, folder: store.path, reason: flaw }, "cached results discarded at opening");
    // An invalidation that was promised is published all the same, perhaps once more.
    const spoilt = keysIn(view, { from: everything.from, to: queue === undefined ? everything.to : queuedInvalidations.from });
    return { ...empty, queue: queue ?? [], spoilt };
  });
}

const empty: OpenedTier = { position: undefined, floor: 0, entries: [], versions: [], queue: [], spoilt: [] };

/** Undefined: there is nothing that can be used. */
function readMeta({ name, log }: TierOptions, store: OrderedStore, view: View): TierMeta | undefined {
  const bytes = view.get(tierMetaKey);
  if (bytes === undefined) {
    for (const _ of view.range(everything)) {
      throw new StoreError({ folder: store.path, reason: "holds something else than cached results; name another folder" });
    }
    return undefined;
  }
  const meta = decodeTierMeta(bytes);
  if (meta !== undefined && meta.name !== name) {
    const reason = `holds the results of ${JSON.stringify(meta.name)}; name another folder for ${JSON.stringify(name)}`;
    throw new StoreError({ folder: store.path, reason });
  }
  if (meta === undefined)
    log.warn({ name, folder: store.path, reason: "written in another format" }, "cached results discarded at opening");
  return meta;
}

function keysIn(view: View, range: ByteRange): readonly Uint8Array[] {
  return Array.from(view.range(range), ([key]) => key);
}

/** Undefined: one cannot be read, and what it made stale cannot be told. */
function readVersions(view: View): OpenedTier["versions"] | undefined {
  const versions: (readonly [Tag, number])[] = [];
  for (const [key, record] of view.range(versionsOfTags)) {
    const version = decodeVersion(key, record);
    if (version === undefined) return undefined;
    versions.push(version);
  }
  return versions.sort(([, a], [, b]) => a - b);
}

function readQueue(view: View): OpenedTier["queue"] | undefined {
  const queue: (QueuedInvalidation & { readonly order: number })[] = [];
  for (const [key, record] of view.range(queuedInvalidations)) {
    const queued = decodeQueued(key, record);
    if (queued === undefined) return undefined;
    queue.push(queued);
  }
  return queue;
}

function readEntries({ clock, name, log }: TierOptions, view: View): Pick<OpenedTier, "entries" | "spoilt"> {
  const nowMs = Math.floor(clock.monotonic());
  const wallOffsetMs = clock.now() - clock.monotonic();
  const entries: DiskEntry[] = [];
  const spoilt: Uint8Array[] = [];
  const tags = new Map<string, Tag>();
  const tagOf = (text: string): Tag => {
    const known = tags.get(text);
    if (known !== undefined) return known;
    tags.set(text, text as Tag);
    return text as Tag;
  };
  for (const [key, record] of view.range(aboutEntries)) {
    const about = decodeAbout(key, record, tagOf);
    // A key that does not lead back to its place would never be found there.
    if (about === undefined || Buffer.compare(aboutKey(about.key), key) !== 0) spoilt.push(key);
    else entries.push(DiskEntry.from(about, wallOffsetMs, nowMs));
  }
  if (spoilt.length > 0) log.warn({ name, unreadable: spoilt.length }, "cached results that cannot be read were removed");
  return { entries: entries.sort((a, b) => a.usedMs - b.usedMs), spoilt };
}
