import { existsSync, mkdirSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { ownFolderMode } from "./lmdb-file.js";

/**
 * Creates a folder and its missing parents, accessible to the owner only. Throws errors of the file system.
 * `mkdirSync` with `recursive` never returns on a file system that answers ENOENT although the parent folder exists,
 * such as /proc.
 */
export function makeFolder(folder: string): void {
  const missing: string[] = [];
  for (let path = resolve(folder); !existsSync(path) && path !== dirname(path); path = dirname(path)) missing.push(path);
  for (const path of missing.toReversed()) makeOne(path);
  // A file has this name: mkdirSync throws the error.
  if (!statSync(folder).isDirectory()) mkdirSync(folder);
}

/** Another process may create the folder at the same time. */
function makeOne(path: string): void {
  try {
    mkdirSync(path, { mode: ownFolderMode });
  } catch (error) {
    const isThere = (error as NodeJS.ErrnoException).code === "EEXIST" && statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
    if (!isThere) throw error;
  }
}
