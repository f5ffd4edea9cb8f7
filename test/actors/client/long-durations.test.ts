import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import { connect } from "../../../index.js";
import { startStorageServer } from "../../../server.js";
import { MemoryDisk } from "../../../testing/memory-store.js";
import { createBroker, serveBroker } from "../../../transport/index.js";
import { until } from "../../support/until.js";

const dayMs = 86_400_000;
/** Warnings of Node about a timer that fires at once because its delay is too long. */
const overflows: string[] = [];
const note = ({ name, message }: Error): void => {
  if (name === "TimeoutOverflowWarning") overflows.push(message);
};

beforeEach(() => {
  overflows.length = 0;
  process.on("warning", note);
});
afterEach(() => {
  process.off("warning", note);
});

/** Time in which a timer fires that should not. */
async function aWhile(): Promise<void> {
  const since = performance.now();
  await until(() => performance.now() - since > 40);
}

test.each([
  [2 ** 31, 2 ** 31],
  [60 * dayMs, Infinity],
])(
  "durations of %d ms in the options of a client and a server, and of %d ms in calls, end nothing on the clocks of the system",
  async (long, longest) => {
    const broker = createBroker();
    const served = await serveBroker({ broker });
    onTestFinished(() => served.close());
    const disk = new MemoryDisk("main", (apply) => {
      apply();
      return Promise.resolve();
    });
    const server = await startStorageServer({
      realm: "zooid",
      transport: broker.connect(),
      storages: { main: { open: disk.open, historyAgeMs: longest, invalidationAgeMs: longest, outcomeAgeMs: longest } },
      sessionTimeoutMs: long,
      keepAliveIntervalMs: long / 4,
      transactionTimeoutMs: long,
      pruningIntervalMs: long,
    });
    onTestFinished(() => server.close());
    const waits = { connectTimeoutMs: longest, waitTimeoutMs: longest, closeTimeoutMs: longest };
    const client = await connect({ servers: served.url, ...waits, requestTimeoutMs: long, heartbeatTimeoutMs: long });
    const voted = await client.begin();
    await voted.put("voted", 1);
    await voted.vote();
    const written = client.transact((tx) => aWhile().then(() => tx.put("x", 1)), { timeoutMs: longest });
    const read = client.read((tx) => aWhile().then(() => tx.get("y")), { timeoutMs: longest });
    await Promise.all([written, client.connected(longest)]);
    await read;
    await voted.finish();
    expect(await client.getMany(["x", "voted"])).toEqual([1, 1]);
    expect(client.isConnected).toBe(true);
    expect(server.status("main").counters).toMatchObject({ commits: 2 });
    await client.close();
    expect(overflows).toEqual([]);
  },
);
