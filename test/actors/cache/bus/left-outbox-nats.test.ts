import { expect, onTestFinished, test } from "vitest";
import { type Cache, createCache } from "../../../../cache.js";
import { connectNats, type HeadedTransport } from "../../../../transport/index.js";
import { jetStreamConfig } from "../../../support/nats-buses.js";
import { startNatsServer } from "../../../support/nats-server.js";
import { busPace } from "../../../../testing/suites/bus.js";
import { temporaryFolders } from "../../../support/temporary-folder.js";
import { startTcpProxy } from "../../../support/tcp-proxy.js";
import { until } from "../../../support/until.js";
import { createJetStreamBus } from "../../../../actors/cache/bus/stream-bus.js";

const makeFolder = temporaryFolders();

/** `transport` that still sends, but while `isDeaf` delivers neither answers nor messages of subscriptions. */
function deaf(transport: HeadedTransport, isDeaf: () => boolean): HeadedTransport {
  return {
    kind: transport.kind,
    payloadBytesMax: transport.payloadBytesMax,
    get status() {
      return transport.status;
    },
    get address() {
      return transport.address;
    },
    publish: (subject, payload) => transport.publish(subject, payload),
    request: async (subject, payload, options) => {
      const answer = await transport.request(subject, payload, options);
      return isDeaf() ? new Promise(() => undefined) : answer;
    },
    subscribe: (subject, handler, options) => transport.subscribe(subject, (message) => (isDeaf() ? undefined : handler(message)), options),
    onStatus: (listener) => transport.onStatus(listener),
    flush: () => transport.flush(),
    close: () => transport.close(),
  };
}

test("an invalidation left on disk is published again, although the stream has taken an earlier one of its tag whose id was left on disk too", async () => {
  const server = await startNatsServer({ config: jetStreamConfig() });
  onTestFinished(() => server.stop());
  const link = await startTcpProxy(() => server.port);
  onTestFinished(() => link.close());
  const storageUrl = `lmdb:${await makeFolder()}`;
  let isDeaf = false;
  const openWriter = async (): Promise<Cache> => {
    const transport = await connectNats({ servers: `nats://127.0.0.1:${link.port}` });
    onTestFinished(() => transport.close());
    const bus = createJetStreamBus({ transport: deaf(transport, () => isDeaf), prefix: "zooid", ...busPace });
    const cache = await createCache({ bus, storageUrl, publishTimeout: "50ms" });
    onTestFinished(() => cache.close());
    return cache;
  };
  const reader = await createCache({ busUrl: server.url });
  onTestFinished(() => reader.close());
  let row = 1;
  const load = reader.cacheable(async () => `row ${row}`, { name: "load", deps: ["r:a"] });
  const writer = await openWriter();
  await until(() => writer.stats().isInTouch && reader.stats().isInTouch);
  expect(await load()).toBe("row 1");

  // The stream takes the invalidation, and the writer does not learn of that.
  isDeaf = true;
  row = 2;
  expect(await writer.invalidate("r:a")).toBe("queued");
  await until(async () => (await load()) === "row 2");
  link.cut();
  await until(() => writer.stats().bus?.type === "cut");
  row = 3;
  expect(await writer.invalidate("r:a")).toBe("queued");
  await writer.close();

  isDeaf = false;
  link.mend();
  const again = await openWriter();
  expect(again.stats().outbox).toBe(1);
  await until(() => again.stats().outbox === 0);
  await until(() => reader.tagVersion("r:a") >= again.tagVersion("r:a"));
  expect(await load()).toBe("row 3");
  await again.close();
  const last = await openWriter();
  expect(last.stats().outbox).toBe(0);
});
