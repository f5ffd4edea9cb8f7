import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { onAbort } from "../../core/index.js";

test("all listeners of one signal are called once, in their order, when it aborts, except removed ones", () => {
  const controller = new AbortController();
  const { signal } = controller;
  const called: string[] = [];
  const listen = (name: string) => onAbort(signal, () => void called.push(name));
  const stops = ["a", "b", "c", "d"].map(listen);
  onAbort(signal, () => stops[3]?.());
  stops[1]?.();
  stops[1]?.();
  controller.abort();
  controller.abort();
  expect(called).toEqual(["a", "c", "d"]);
  for (const stop of stops) stop();
});

test("a listener that another listener removes during the abort is not called", () => {
  const controller = new AbortController();
  const called: string[] = [];
  const stops: (() => void)[] = [];
  onAbort(controller.signal, () => stops[0]?.());
  stops.push(onAbort(controller.signal, () => void called.push("removed")));
  controller.abort();
  expect(called).toEqual([]);
});

test("a listener of a signal that has aborted is called at once", () => {
  let calls = 0;
  onAbort(AbortSignal.abort(), () => calls++)();
  expect(calls).toBe(1);
});

test("all listeners of a signal share one listener of Node, which is removed with the last of them", () => {
  const { signal } = new AbortController();
  const stops = Array.from({ length: 100 }, () => onAbort(signal, () => undefined));
  expect(getEventListeners(signal, "abort")).toHaveLength(1);
  for (const stop of stops) stop();
  expect(getEventListeners(signal, "abort")).toHaveLength(0);
  onAbort(signal, () => undefined)();
  expect(getEventListeners(signal, "abort")).toHaveLength(0);
});
