import { expect, test } from "vitest";
import { PacedSending } from "../../../actors/system/paced-sending.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import { createBroker } from "../../../transport/index.js";
import { DisconnectedError, limits, silentLog } from "../../../core/index.js";
import { watched } from "../../support/watched.js";

const part = limits.pacedBytesInAirMax / 4;

/** A sender whose broker takes the sent bytes when the test says so. */
function sender() {
  const clock = new SimulatedClock();
  const transport = createBroker({ clock }).connect();
  const taken: { readonly resolve: () => void; readonly reject: (reason: unknown) => void }[] = [];
  transport.flush = () => new Promise((resolve, reject) => taken.push({ resolve, reject }));
  return { clock, taken, sending: new PacedSending({ transport, clock, log: silentLog }) };
}

test("a paced sender waits for the broker each time that its bound of bytes is in flight", async () => {
  const { clock, taken, sending } = sender();
  for (let round = 1; round <= 3; round++) {
    for (let n = 0; n < 3; n++) expect(sending.sent(part)).toBeUndefined();
    const waiting = watched(sending.sent(part) ?? Promise.reject(new Error("does not wait")));
    await clock.advance(60_000);
    expect([waiting.state, taken.length]).toEqual(["waiting", round]);
    taken.at(-1)?.resolve();
    await clock.advance(1);
    expect(waiting.state).toBe("done");
  }
});

test("a paced sender whose link is lost goes on", async () => {
  const { clock, taken, sending } = sender();
  const waiting = watched(sending.sent(4 * part) ?? Promise.reject(new Error("does not wait")));
  taken[0]?.reject(new DisconnectedError({ address: "broker" }));
  await clock.advance(1);
  expect(waiting.state).toBe("done");
  expect(sending.sent(part)).toBeUndefined();
});
