import { statSync } from "node:fs";
import { join } from "node:path";
import type { Log } from "../../core/log.js";
import { ownerLockFile } from "./folder-lock.js";
import { lmdbFiles } from "./lmdb-file.js";

/** Mode bits for users that are neither the owner nor in the group. */
const others = { read: 0o004, write: 0o002, search: 0o001 } as const;

/**
 * Logs a warning when users that are neither the owner nor in the group can read or change the content of `folder`.
 * Zooid creates folders and files for their owner only. It does not change the modes of existing ones, like SQLite: an
 * operator may have set them, and on volumes of containers the group often has access.
 */
export function warnIfOpenToOthers(folder: string, log: Log): void {
  const folderMode = statSync(folder).mode;
  const open = (folderMode & others.write) === 0 ? [] : [described(".", folderMode)];
  for (const name of (folderMode & others.search) === 0 ? [] : [ownerLockFile, ...lmdbFiles]) {
    const mode = statSync(join(folder, name), { throwIfNoEntry: false })?.mode ?? 0;
    if ((mode & (others.read | others.write)) !== 0) open.push(described(name, mode));
  }
  // Windows has no such modes: Node reports the same ones for every file there.
  if (open.length > 0 && process.platform !== "win32")
    log.warn({ folder, open }, "other users of this system can access the files of this folder; run chmod -R o= on it");
}

function described(name: string, mode: number): string {
  return `${name} ${(mode & 0o777).toString(8).padStart(4, "0")}`;
}
