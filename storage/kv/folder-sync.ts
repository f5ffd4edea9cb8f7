import { closeSync, fsyncSync, openSync } from "node:fs";

/** Makes the file names in a folder durable: a synced file can still lose its name. */
export function syncFolder(folder: string): void {
  const directory = openSync(folder, "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
