import { join } from "node:path";
import { createActorSystem } from "../actors/index.js";
import { DiskFullError, type Log } from "../index.js";
import { openLmdbStore, startStorageServer, type StorageOptions, type StorageServer, type StorageServerOptions } from "../server.js";
import { makeFolder } from "../storage/kv/make-folder.js";
import { CommandError } from "./failure.js";

/** Options of a storage server that keeps its storages in folders. */
export interface ServeFoldersOptions extends Omit<StorageServerOptions, "storages" | "system"> {
  /** Folder of each storage, by its name. */
  readonly folders: ReadonlyMap<string, string>;
  readonly log: Log;
  readonly storageBounds?: Omit<StorageOptions, "open">;
}

export interface ServedFolders {
  readonly server: StorageServer;
  /** Closes the server, and then the addresses of its machines. */
  close(): Promise<void>;
}

/**
 * Starts a storage server of folders, whose machines have addresses. Rejects with the errors of `startStorageServer`.
 */
export async function serveFolders({ folders, storageBounds = {}, ...options }: ServeFoldersOptions): Promise<ServedFolders> {
  const { log } = options;
  const system = createActorSystem(options);
  const storages = Object.fromEntries(
    Array.from(folders, ([storage, folder]) => [storage, { open: () => openLmdbStore({ folder, log }), ...storageBounds }]),
  );
  try {
    const server = await startStorageServer({ ...options, storages, system });
    return { server, close: () => server.close().finally(() => system.close()) };
  } catch (error) {
    system.close();
    throw error;
  }
}

/** Makes a folder in `data` for each storage. Throws a CommandError, or DiskFullError, when it cannot. */
export function storageFolders(data: string, storages: readonly string[]): ReadonlyMap<string, string> {
  return new Map(storages.map((storage) => [storage, madeFolder(join(data, storage))]));
}

function madeFolder(folder: string): string {
  try {
    makeFolder(folder);
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? String(error);
    if (reason === "ENOSPC" || reason === "EDQUOT") throw new DiskFullError({ folder, isEmpty: true }, error);
    throw new CommandError("ZOOID_STORE", `${folder} cannot be made: ${reason}`, { folder }, error);
  }
  return folder;
}
