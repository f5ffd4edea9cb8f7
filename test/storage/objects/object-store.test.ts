import { openLmdbStore } from "../../../storage/kv/lmdb-store.js";
import { MemoryDisk } from "../../../testing/memory-store.js";
import { objectStoreSuite } from "../../suites/object-store.js";
import { temporaryFolders } from "../../support/temporary-folder.js";

const makeFolder = temporaryFolders();

objectStoreSuite("in memory", async () => new MemoryDisk("disk").open);
objectStoreSuite("in LMDB", async () => {
  const folder = await makeFolder();
  return () => openLmdbStore({ folder });
});
