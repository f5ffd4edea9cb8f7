import { expect, test } from "vitest";
import { createBroker, type HeadedTransport } from "../../../../transport/index.js";
import { busPace } from "../../../../transport/bus-pace.js";
import { limits } from "../../../../core/index.js";
import { createJetStreamBus } from "../../../../actors/cache/bus/stream-bus.js";
import { createPlainBus } from "../../../../actors/cache/bus/plain-bus.js";

test("a longer interval gives a longer default time-out", () => {
  expect(busPace({})).toEqual({ intervalMs: 1_000, timeoutMs: 3_500 });
  expect(busPace({ heartbeatIntervalMs: 10_000 })).toEqual({ intervalMs: 10_000, timeoutMs: 25_000 });
});

test("inconsistent paces are InvalidOptionError, for each bus", () => {
  const transport = createBroker().connect() as HeadedTransport;
  for (const wrong of [
    { heartbeatIntervalMs: 0 },
    { heartbeatIntervalMs: Number.NaN },
    { heartbeatIntervalMs: 1_000, heartbeatTimeoutMs: 2_000 },
    { heartbeatTimeoutMs: Infinity },
  ]) {
    const invalid = expect.objectContaining({
      code: "ZOOID_INVALID_OPTION",
      facts: expect.objectContaining({ option: Object.keys(wrong).at(-1) }),
    });
    expect(() => createPlainBus({ transport, prefix: "p", ...wrong })).toThrow(invalid);
    expect(() => createJetStreamBus({ transport, prefix: "p", ...wrong })).toThrow(invalid);
  }
  const { timeoutMs } = busPace({});
  const historyMs = 10 * (timeoutMs + limits.bucketTimeoutMs);
  createJetStreamBus({ transport, prefix: "p", historyMs });
  expect(() => createJetStreamBus({ transport, prefix: "p", historyMs: historyMs - 1 })).toThrow(
    expect.objectContaining({ facts: expect.objectContaining({ option: "historyMs" }) }),
  );
  expect(() => createPlainBus({ transport, prefix: "a.b" })).toThrow(expect.objectContaining({ code: "ZOOID_INVALID_OPTION" }));
});
