import { Pace, StoreError, type Tag, type Seams } from "../../core/index.js";
import { type ByteRange, everything, isEmpty, type OrderedStore } from "../kv/ordered-store.js";
import { DiskEntry } from "./disk-entry.js";
import { type DiskBounds, DiskIndex } from "./disk-index.js";
import {
  decodeAbout,
  decodeQueued,
  decodeTierMeta,
  decodeVersion,
  firstGenerations,
  queuedInvalidations,
  RecordKeys,
  type TierMeta,
  tierMetaKey,
  valueKeyBeside,
} from "./entry-records.js";
import type { EntryPosition, QueuedInvalidation } from "./entry-store.js";
import { pacedSort } from "./paced-sort.js";

/** State of a tier that an earlier process left on disk. */
export interface OpenedTier {
  readonly keys: RecordKeys;
  readonly position: EntryPosition | undefined;
  readonly floor: number;
  readonly index: DiskIndex;
  /** In the order of their sequences. */
  readonly versions: Map<Tag, number>;
  readonly queue: readonly (QueuedInvalidation & { readonly order: number })[];
  /** Store keys of records that cannot be used. */
  readonly unusable: readonly Uint8Array[];
}

interface TierOptions extends Pick<Seams, "clock" | "log"> {
  readonly name: string;
  readonly countedBy: string | undefined;
  readonly bounds: DiskBounds;
}

/** Records read or removed between two readings of the clock, and their approximate bytes. */
const pageRecords = 500;
const pageBytes = 1024 * 1024;

/**
 * Reads a tier from `store`, except its values, in steps between which other work runs. Rejects with StoreError when
 * the store holds other data.
 */
export async function readTier(options: TierOptions, store: OrderedStore): Promise<OpenedTier> {
  const pace = new Pace(options.clock);
  const meta = readMeta(options, store);
  const index = new DiskIndex(options.bounds);
  const nothing = { position: undefined, floor: 0, index, versions: new Map<Tag, number>(), queue: [], unusable: [] };
  if (meta === undefined) {
    await removeAll(store, pace);
    return { ...nothing, keys: new RecordKeys(firstGenerations) };
  }
  const keys = new RecordKeys(meta.generations);
  const queue = await readQueue(store, pace);
  const isOfAnotherCount = meta.countedBy === undefined || meta.countedBy !== options.countedBy;
  const versions = meta.isDiscarded || isOfAnotherCount ? undefined : await readVersions(store, keys, pace);
  if (versions !== undefined && queue !== undefined) {
    const unusable = await readEntries(options, store, { keys, index, pace });
    return { keys, index, position: meta.position, floor: meta.floor, versions, queue, unusable };
  }
  const { name, log, countedBy } = options;
  const reason = meta.isDiscarded ? "an earlier write failed" : isOfAnotherCount ? "sequences of another bus" : "a record cannot be read";
  if (countedBy !== undefined || meta.countedBy !== undefined) {
    log.warn({ name, folder: store.path, reason }, "cached results discarded at opening");
  }
  // An invalidation whose publication was promised is published all the same, perhaps for a second time.
  const unusable = queue === undefined ? store.read((view) => Array.from(view.range(queuedInvalidations), ([key]) => key)) : [];
  const { entries, versions: versionsEnded } = meta.generations;
  return { ...nothing, keys: new RecordKeys({ entries: entries + 1, versions: versionsEnded + 1 }), queue: queue ?? [], unusable };
}

/** Undefined: there is no usable data. */
function readMeta({ name, log }: TierOptions, store: OrderedStore): TierMeta | undefined {
  const bytes = store.read((view) => view.get(tierMetaKey));
  if (bytes === undefined) {
    if (store.read(isEmpty)) return undefined;
    throw new StoreError({ folder: store.path, reason: "holds something other than cached results; name another folder" });
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

/**
 * Removes all records in batches: there may be any number, of any kind. The meta record, which names the owner, is
 * removed last.
 */
async function removeAll(store: OrderedStore, pace: Pace): Promise<void> {
  const afterMeta = Buffer.concat([tierMetaKey, Uint8Array.of(0)]);
  for (const range of [
    { from: afterMeta, to: everything.to },
    { from: everything.from, to: afterMeta },
  ]) {
    for (;;) {
      const page = pageOf(store, range);
      if (page.length === 0) break;
      await store.batch(page.map(([key]) => ({ key, value: undefined })));
      if (pace.isOver) await pace.rest();
    }
  }
}

/** Undefined: a record cannot be read, so that it is unknown which entries it made stale. */
async function readVersions(store: OrderedStore, keys: RecordKeys, pace: Pace): Promise<Map<Tag, number> | undefined> {
  const versions: (readonly [Tag, number])[] = [];
  for await (const page of pages(store, keys.versions, pace)) {
    for (const [key, record] of page) {
      const version = decodeVersion(key, record);
      if (version === undefined) return undefined;
      versions.push(version);
    }
  }
  const inOrder = new Map<Tag, number>();
  for (const [tag, sequence] of await pacedSort(versions, ([, sequence]) => sequence, pace)) {
    inOrder.set(tag, sequence);
    if (inOrder.size % pageRecords === 0 && pace.isOver) await pace.rest();
  }
  return inOrder;
}

/** Undefined: a record cannot be read. */
async function readQueue(store: OrderedStore, pace: Pace): Promise<OpenedTier["queue"] | undefined> {
  const queue: (QueuedInvalidation & { readonly order: number })[] = [];
  for await (const page of pages(store, queuedInvalidations, pace)) {
    for (const [key, record] of page) {
      const queued = decodeQueued(key, record);
      if (queued === undefined) return undefined;
      queue.push(queued);
    }
  }
  return queue;
}

/**
 * Fills `index` up to its bounds with the most recently used entries, and returns the keys of the other and of the
 * unreadable ones.
 */
async function readEntries(
  { clock, name, log }: TierOptions,
  store: OrderedStore,
  { keys, index, pace }: { readonly keys: RecordKeys; readonly index: DiskIndex; readonly pace: Pace },
): Promise<Uint8Array[]> {
  const nowMs = Math.floor(clock.monotonic());
  const wallOffsetMs = clock.now() - clock.monotonic();
  const found: DiskEntry[] = [];
  const unusable: Uint8Array[] = [];
  const tagOf = sharedTags();
  for await (const page of pages(store, keys.abouts, pace)) {
    for (const [key, record] of page) {
      const about = decodeAbout(key, record, tagOf);
      // A key that does not match its place would never be found there.
      if (about === undefined || Buffer.compare(keys.about(about.key), key) !== 0) unusable.push(key, valueKeyBeside(key));
      else found.push(DiskEntry.from(about, wallOffsetMs, nowMs));
    }
  }
  if (unusable.length > 0) log.warn({ name, unreadable: unusable.length / 2 }, "cached results that cannot be read were removed");
  const entries = await pacedSort(found, ({ usedMs }) => usedMs, pace);
  const first = firstWithin(index.bounds, entries);
  for (const [at, entry] of entries.entries()) {
    if (at < first) unusable.push(keys.about(entry.key), keys.value(entry.key));
    else index.addEntry(entry);
    if (at % pageRecords === 0 && pace.isOver) await pace.rest();
  }
  return unusable;
}

/** Index of the first of the most recently used entries that fit into `bounds`. */
function firstWithin({ entriesMax, bytesMax }: DiskBounds, entries: readonly DiskEntry[]): number {
  let first = Math.max(0, entries.length - entriesMax);
  let bytes = 0;
  for (let at = entries.length - 1; at >= first; at--) {
    bytes += entries[at]?.bytes ?? 0;
    if (bytes > bytesMax) first = at + 1;
  }
  return first;
}

/** Returns one string object for equal tags, for any number of entries. */
function sharedTags(): (text: string) => Tag {
  const tags = new Map<string, Tag>();
  return (text) => {
    const known = tags.get(text);
    if (known !== undefined) return known;
    tags.set(text, text as Tag);
    return text as Tag;
  };
}

type Page = readonly (readonly [key: Uint8Array, value: Uint8Array])[];

/**
 * The records in `range`, page by page; other work runs between pages. Nothing else writes into the range meanwhile.
 */
async function* pages(store: OrderedStore, { from, to }: ByteRange, pace: Pace): AsyncGenerator<Page> {
  for (let next = from; ;) {
    const page = pageOf(store, { from: next, to });
    const [last] = page.at(-1) ?? [];
    if (last === undefined) return;
    yield page;
    next = Buffer.concat([last, Uint8Array.of(0)]);
    if (pace.isOver) await pace.rest();
  }
}

function pageOf(store: OrderedStore, range: ByteRange): Page {
  return store.read((view) => {
    const page: (readonly [Uint8Array, Uint8Array])[] = [];
    let bytes = 0;
    for (const record of view.range(range)) {
      page.push(record);
      bytes += record[1].length;
      if (page.length === pageRecords || bytes >= pageBytes) break;
    }
    return page;
  });
}
