/**
 * Clients in another process: one that watches a key and reports when it has the new value, or many that only listen.
 */
import { connect } from "../index.js";
import { nowMs } from "./measure.js";
import { answer, processDetails } from "./process.js";

interface Seen {
  readonly value: unknown;
  /** When the invalidation was applied: the old value is no longer served. */
  readonly appliedMs: number;
  /** When a read returned the new value. */
  readonly readMs: number;
}

const { url, clients } = processDetails<{ readonly clients: number }>();
const stores = await Promise.all(Array.from({ length: clients }, () => connect({ servers: url, realm: "bench" })));
const store = stores[0];
if (store === undefined) throw new Error("a client process has a client");
let onSeen: (seen: Seen) => void = () => undefined;

async function follow(key: string): Promise<void> {
  if (store === undefined) return;
  for await (const change of store.watch(key)) {
    if (change.type !== "changed") continue;
    const appliedMs = nowMs();
    const value = await store.get(key);
    onSeen({ value, appliedMs, readMs: nowMs() });
  }
}

answer({
  /** Reads `key`, so that it is cached, and watches it from now on. */
  follow: async (key: string) => {
    await store.get(key);
    void follow(key);
    return true;
  },
  /** Resolves to the next change that is seen after this question. */
  nextSeen: () =>
    new Promise<Seen>((resolve) => {
      onSeen = resolve;
    }),
  isCoherent: (tid: number) => stores.every((each) => each.position.tid >= tid),
});
