import type { ObjectStore } from "../../storage/objects/object-store.js";
import type { CommitQueue } from "./commit-queue.js";
import type { CheckedStorageOptions } from "./options.js";
import type { RefusedIds } from "./refused-ids.js";
import type { WriterCheck, WriterDeps } from "../protocol/another-writer.js";
import type { ActorSystem } from "../system/actor-system.js";

/** One storage as its server passes it. If two servers write, the one that started first continues. */
export interface ServedStorageDeps extends WriterDeps, WriterCheck {
  /** `startedAt` on the monotonic clock. */
  readonly startedMs: number;
  readonly options: CheckedStorageOptions;
  /** System in which the machines of the storage are registered for inspection. */
  readonly system: ActorSystem | undefined;
  /**
   * Called when the storage ended by itself, because its store cannot be opened again or a bug ended one of its actors:
   * it answers no more requests.
   */
  readonly onFatal: (error: unknown) => void;
}

/** The parts that all others of one storage use. */
export interface StorageParts extends ServedStorageDeps {
  readonly store: ObjectStore;
  readonly queue: CommitQueue;
  readonly refusedIds: RefusedIds;
  /** Starts the next batch: called after a commit was queued. */
  readonly wake: () => void;
}
