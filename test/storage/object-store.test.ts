import { openLmdbStore } from "../../storage/lmdb-store.js";
import { MemoryDisk } from "../../storage/memory-store.js";
import { objectStoreSuite } from "../suites/object-store.js";
import { temporaryFolders } from "./temporary-folder.js";

const makeFolder = temporaryFolders();

objectStoreSuite("in memory", async () => new MemoryDisk("disk").open);
objectStoreSuite("in LMDB", async () => {
  const folder = await makeFolder();
  return () => openLmdbStore({ folder });
});
