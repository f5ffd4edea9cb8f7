import { expect, test } from "vitest";
import { ClosedError } from "../../core/errors.js";
import { createBroker } from "../../transport/index.js";
import { untilStatus } from "../../transport/until-status.js";

const living = new AbortController().signal;

test("untilStatus waits for a status of the link, and returns at once if the link has it", async () => {
  const broker = createBroker();
  const transport = broker.connect();
  await untilStatus(transport, "connected", living);
  const seen: string[] = [];
  const waiting = untilStatus(transport, "disconnected", living).then(() => seen.push("disconnected"));
  await new Promise(setImmediate);
  expect(seen).toEqual([]);
  broker.stop();
  await waiting;
  expect(transport.status).toBe("disconnected");
  await transport.close();
});

test("untilStatus rejects when its signal aborts, and when the transport is closed meanwhile", async () => {
  const broker = createBroker();
  broker.stop();
  const transport = broker.connect();
  const controller = new AbortController();
  const aborted = untilStatus(transport, "connected", controller.signal);
  controller.abort(new Error("enough"));
  await expect(aborted).rejects.toThrow("enough");
  const closed = untilStatus(transport, "connected", living);
  await transport.close();
  await expect(closed).rejects.toThrow(ClosedError);
  await expect(untilStatus(transport, "connected", living)).rejects.toThrow(ClosedError);
  await untilStatus(transport, "closed", living);
});
