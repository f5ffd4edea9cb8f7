import { expect, test } from "vitest";
import { WriterInquiry } from "../../../actors/client/connection/writer-inquiry.js";
import { createBroker } from "../../../transport/in-process.js";
import { NotAuthorizedError, seededRandom, silentLog } from "../../../core/index.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import { TappedTransport } from "../../support/tapped-transport.js";

test("a client that the broker forbids to ask logs it once, and asks no other instance until it has another link", async () => {
  const clock = new SimulatedClock();
  const transport = new TappedTransport(createBroker({ clock }).connect());
  let asked = 0;
  transport.request = () => {
    asked++;
    return Promise.reject(new NotAuthorizedError({ address: "broker", reason: "no permission" }));
  };
  const warnings: unknown[] = [];
  const log = { ...silentLog, warn: (facts: object) => void warnings.push(facts) };
  const seams = { realm: "test", storage: "main", transport, random: seededRandom(1), log };
  const inquiry = new WriterInquiry({ ...seams, who: () => ({ client: "c" }), onShown: () => expect.fail("no server writes") });
  await Promise.all([inquiry.ask("one"), inquiry.ask("two")]);
  for (const instance of ["one", "two", "three"]) await inquiry.ask(instance);
  expect([asked, warnings]).toMatchObject([2, [{ client: "c", instance: "one" }]]);
  inquiry.linked();
  await inquiry.ask("three");
  expect([asked, warnings.length]).toEqual([3, 2]);
});
