import { setImmediate } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { delay } from "../../../../core/index.js";
import { objectWorld } from "../objects/object-world.js";
import { gate } from "../open.js";

test("many calls and reads under one signal cause no warning of Node, and all of them end when it aborts", async () => {
  const { cache, reader, writer, open, clock, run } = await objectWorld();
  const warnings: Error[] = [];
  const warned = (warning: Error) => void warnings.push(warning);
  process.on("warning", warned);
  onTestFinished(() => void process.off("warning", warned));
  await run(writer.put("k", 1));
  const { client: cut, transport } = await open("cut");
  const held = gate();
  transport.held.set("load", held.promise);
  const controller = new AbortController();
  const { signal } = controller;
  const load = cache.cacheable((_x: number, _signal: AbortSignal) => held.promise, {
    name: "load",
    key: (x) => x,
    signal: (_x, own) => own,
  });
  const calls = Array.from({ length: 30 }, (_, x) => [
    load(x, signal),
    load(0, signal),
    cache.getOrSet(`key ${x}`, () => held.promise, { signal }),
    reader.read(() => held.promise, { signal }),
    reader.read(() => held.promise, { signal, timeoutMs: 60_000 }),
    reader.transact(() => held.promise, { signal }),
    cut.read((tx) => tx.get(`k${x}`), { signal }),
    reader.begin({ signal }).then(async (tx) => {
      await held.promise;
      return tx.get("k");
    }),
    reader.watch("", { signal }).next(),
    delay(clock, 60_000, signal),
  ]).flat();
  const ended = Promise.allSettled(calls);
  await clock.advance(0);
  // Node emits the warning in a later turn.
  await setImmediate();
  controller.abort(new Error("no time"));
  held.open();
  const outcomes = await run(ended);
  expect(new Set(outcomes.map(({ status }) => status))).toEqual(new Set(["rejected", "fulfilled"]));
  expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(30);
  expect(warnings).toEqual([]);
});
