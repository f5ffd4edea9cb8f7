import { closeSync, fsyncSync, openSync } from "node:fs";

/** Makes the names of a folder durable: a file that was synced can still lose its own. */
export function syncFolder(folder: string): void {
  const directory = openSync(folder, "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
