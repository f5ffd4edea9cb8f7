import { createMachine } from "xstate";
import { describe, expect, test } from "vitest";
import type { MachineDescription } from "../../../actors/drawing/description.js";
import { machineToSvg } from "../../../actors/drawing/svg.js";
import { limits, NotDrawnError } from "../../../core/index.js";

const lamp = createMachine({
  id: "lamp",
  initial: "on",
  states: { on: { initial: "bright", states: { bright: {}, dim: {} }, on: { SWITCH: "off" } }, off: { on: { SWITCH: "on" } } },
});

/** A machine with `states` states, each with a transition to the next one for each of `events` events. */
function ringOf(states: number, events = 1): MachineDescription {
  const on = Array.from({ length: events }, (_, index) => `E${index}`);
  const entries = Array.from({ length: states }, (_, index) => {
    const target = [`s${(index + 1) % states}`];
    return [`s${index}`, { type: "atomic", transitions: on.map((event) => ({ on: event, target })) }] as const;
  });
  return { id: "ring", type: "compound", initial: "s0", states: Object.fromEntries(entries) };
}

/** A document without its tags. Throws when a tag is not closed. */
function textsOf(svg: string): string {
  const open: string[] = [];
  const texts = svg.replaceAll(/<(\/?)([a-z]+)((?: [\w-]+="[^"<]*")*)(\/?)>/gi, (_, close: string, name: string, __, isEmpty: string) => {
    if (close !== "") expect(open.pop()).toBe(name);
    else if (isEmpty === "") open.push(name);
    return "";
  });
  expect(open).toEqual([]);
  return texts;
}

describe("the image of a machine", () => {
  test("loads nothing: no script, no font, no image", async () => {
    const svg = await machineToSvg(lamp);
    expect(svg).not.toMatch(/<script|<image|<use|@import|@font-face|url\(|href/);
    expect(svg.match(/https?:[^"]*/g)).toEqual(["http://www.w3.org/2000/svg"]);
    expect(svg).toContain("prefers-color-scheme: dark");
  });

  test("marks the states that an actor is in, outer ones too", async () => {
    const marked = (svg: string) => svg.match(/<rect class="box[^"]*current/g) ?? [];
    expect(marked(await machineToSvg(lamp))).toEqual([]);
    expect(marked(await machineToSvg(lamp, { current: "off" }))).toHaveLength(1);
    const nested = await machineToSvg(lamp, { current: { on: "dim" } });
    expect(marked(nested)).toEqual(['<rect class="box outer current', '<rect class="box current']);
  });

  test("distinguishes a state with a dot in its name from an inner state", async () => {
    const machine = createMachine({
      initial: "a.b",
      states: {
        "a.b": { on: { IN: "a.b" } },
        a: { initial: "b", states: { b: { on: { OUT: "#last" } } } },
        last: { id: "last", on: { BACK: "a\\.b" } },
      },
    });
    const svg = await machineToSvg(machine, { current: "a.b" });
    expect(svg.match(/<rect class="box/g)).toHaveLength(5);
    expect(svg.match(/<rect class="box[^"]*current/g)).toHaveLength(1);
    expect(svg.match(/<path class="arrow"/g)).toHaveLength(5);
  });

  test("is well-formed for every kind of name", async () => {
    const names = [
      `<&"'>`,
      "]]>",
      "\u0001\u0008\ud800\ufffe",
      "\u{1f468}\u200d\u{1f469}\u200d\u{1f467}".repeat(50),
      "W".repeat(5_000),
      "",
      "a\nb",
      "__proto__",
    ];
    const transitions = names.map((name) => ({ on: name, guard: name, actions: [name], target: ["next"] }));
    const states = Object.fromEntries(
      names.map((name, index) => [`${index} ${name}`, { type: "atomic", entry: [name], transitions }] as const),
    );
    const svg = await machineToSvg({
      id: names.join(""),
      type: "compound",
      initial: "next",
      states: { next: { type: "atomic" }, ...states },
    });
    const texts = textsOf(svg);
    expect(texts.replaceAll(/&(?:amp|lt|gt|quot);/g, "")).not.toMatch(/[<>&]/);
    expect(svg.isWellFormed()).toBe(true);
    expect(svg).not.toMatch(/[\u0000-\u0008\u000b-\u001f\ufffe\uffff]/);
    expect(Number(/width="(\d+)"/.exec(svg)?.[1])).toBeLessThan(10_000);
  });

  test("is an error when the machine has too many states or transitions", async () => {
    const tooMany = machineToSvg(ringOf(limits.drawnStatesMax + 1));
    await expect(tooMany).rejects.toThrow(NotDrawnError);
    await expect(tooMany).rejects.toMatchObject({
      code: "ZOOID_NOT_DRAWN",
      machine: "ring",
      reason: "it has 501 states, and the maximum is 500",
    });
    await expect(machineToSvg(ringOf(100, 16))).rejects.toThrow("it has 1600 transitions, and the maximum is 1500");
  });

  test("ends when its signal aborts, and the next one is drawn", async () => {
    const controller = new AbortController();
    const drawing = machineToSvg(ringOf(400), { signal: controller.signal });
    const next = machineToSvg(lamp);
    controller.abort(new Error("no longer wanted"));
    await expect(drawing).rejects.toThrow("no longer wanted");
    expect(await next).toContain("<title>lamp</title>");
  });
});
