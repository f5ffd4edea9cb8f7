/** A client in another process, which commits when it is asked to. */
import { connect } from "../index.js";
import { inParallel } from "./measure.js";
import { answer, processDetails } from "./process.js";

const inFlight = 64;
const keyCount = 10_000;

const { url } = processDetails();
const store = await connect({ servers: url, realm: "bench", client: "committing" });
let committed = 0;

answer({
  /** Commits so many transactions of one object each. Resolves to the milliseconds that they took. */
  commit: (count: number) =>
    inParallel(count, inFlight, async () => {
      const index = committed++;
      await store.put(`object/${(index * 7) % keyCount}`, { index, text: "x".repeat(180) });
    }),
  /** Whether the newest commit is there. */
  isThere: async () => {
    const index = committed - 1;
    const value = (await store.get(`object/${(index * 7) % keyCount}`)) as { readonly index: number } | undefined;
    return value !== undefined && value.index >= index - inFlight;
  },
});
