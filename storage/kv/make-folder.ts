import { existsSync, mkdirSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { ownFolderMode } from "./lmdb-file.js";

/**
 * Makes a folder, and those above it, where they are not there: for their owner alone. Throws as the file system does.
 * `mkdirSync` with `recursive` never returns where a file system answers ENOENT although the folder above is there, as /proc does.
 */
export function makeFolder(folder: string): void {
  const missing: string[] = [];
  for (let path = resolve(folder); !existsSync(path) && path !== dirname(path); path = dirname(path)) missing.push(path);
  for (const path of missing.toReversed()) makeOne(path);
  // A file of that name is in the way.
  if (!statSync(folder).isDirectory()) mkdirSync(folder);
}

/** Another process may have made it meanwhile. */
function makeOne(path: string): void {
  try {
    mkdirSync(path, { mode: ownFolderMode });
  } catch (error) {
    const isThere = (error as NodeJS.ErrnoException).code === "EEXIST" && statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
    if (!isThere) throw error;
  }
}
