import { describe, expect, test } from "vitest";
import { applyEntry, describeMachine, emptyModel, type RecordItem } from "../../actors/index.js";
import type { Value } from "../../index.js";
import { Sampler, type TopSample } from "../../cli/top/sampler.js";
import { columnsOf, cutTo } from "../../cli/table.js";
import { keysIn, Screen } from "../../cli/top/screen.js";
import { afterKey, firstView, screenLines, shownActors, type TopView } from "../../cli/top/top-view.js";
import { gateMachine } from "../actors/system/gate-machine.js";

const actor = (ref: number, path: string, facts: Partial<Extract<RecordItem, { type: "actor" }>> = {}): RecordItem => ({
  type: "actor",
  ms: 0,
  actor: ref,
  parent: undefined,
  path,
  name: "gate",
  machine: "hash",
  status: "active",
  value: "closed",
  since: 1_000,
  shown: {},
  reason: undefined,
  ...facts,
});

/** A model of one system with some actors, and what `zooid top` shows of it. */
function world() {
  const model = emptyModel();
  const sampler = new Sampler();
  let number = 0;
  const frame = (at: number, ...items: RecordItem[]) =>
    applyEntry(model, { type: "frame", at, frame: { format: 1, instance: "i", number: number++, at, items } });
  frame(
    1_000,
    { type: "begin" },
    { type: "machine", hash: "hash", definition: describeMachine(gateMachine) as unknown as Value },
    actor(0, "b", { shown: { hits: 10, misses: 10, heardMsAgo: 400 } }),
    actor(1, "a", { status: "error", reason: "no luck" }),
    actor(2, "a#promise", { machine: undefined, value: null }),
    { type: "end", actors: 3 },
  );
  sampler.sample(model, 0, 1_000);
  const open = (ref: number) => ({ type: "event" as const, ms: 0, actor: ref, from: undefined, event: "OPEN" });
  frame(1_500, open(0), open(0), { type: "step", ms: 0, actor: 0, event: "OPEN", guards: ["isOld"], actions: ["noteWho"] });
  frame(2_000, { type: "state", ms: 0, actor: 0, value: "open", shown: { hits: 19, misses: 11, heardMsAgo: 300 } });
  const sample = sampler.sample(model, 1_000, 2_500);
  return { model, sample };
}

const textOf = (view: TopView, { model, sample }: { model: ReturnType<typeof world>["model"]; sample: TopSample }, width = 100) =>
  screenLines(view, { sample, model, place: "realm shop" }, { width, height: 20 }).map(({ text }) => text.trimEnd());

describe("a sample of zooid top", () => {
  test("has rates since the moment before, times in a state, and the share of hits", () => {
    const { sample } = world();
    expect(sample).toMatchObject({ systems: 1, incomplete: 0, failed: 1, hitRate: 0.9, staleMs: 300 });
    expect(sample.actors.find(({ path }) => path === "b")).toMatchObject({
      events: 2,
      transitions: 1,
      state: "open",
      forMs: 500,
      hitRate: 0.9,
    });
    expect(sample.actors.find(({ path }) => path === "a")).toMatchObject({ state: "failed: no luck" });
  });
});

describe("the screen of zooid top", () => {
  test("is a table of the machines", () => {
    const there = world();
    const lines = textOf(firstView, there);
    expect(lines).toHaveLength(20);
    expect(lines[0]).toContain("realm shop: 1 system, 2 machines, 1 failed");
    expect(lines[1]).toContain("hit rate 90.0 %");
    expect(lines.slice(3, 6).map((line) => line.split(/ {2,}/))).toEqual([
      ["actor*", "state", "for", "events", "transitions", "facts"],
      ["a", "failed: no luck", "1.5 s", "0", "0"],
      ["b", "open", "500 ms", "2.0", "1.0", "hit rate 90.0 %, heard 300 ms ago"],
    ]);
  });

  test("shows the machine of the selected actor with its current state and its latest transitions", () => {
    const there = world();
    const keys = ["down", "down", "enter"];
    const view = keys.reduce<TopView>((at, key) => afterKey(at, key, there.sample, 10) ?? at, firstView);
    const text = textOf(view, there).join("\n");
    expect(text).toContain("b is open for 500 ms");
    expect(text).toContain("● open\n");
    expect(text).toContain("○ closed\n");
    expect(text).toMatch(/closed -> open {3}OPEN \[isOld\] \/ noteWho/);
    expect(textOf(afterKey(view, "escape", there.sample, 10) ?? view, there)[3]).toContain("actor*");
  });

  test("is never wider or higher than the terminal, and escapes what could control it", () => {
    const there = world();
    for (const width of [20, 40, 200]) {
      const lines = screenLines(firstView, { ...there, place: "\u001b[2J" }, { width, height: 8 });
      expect(lines).toHaveLength(8);
      expect(Math.max(...lines.map(({ text }) => text.length))).toBeLessThanOrEqual(width);
      expect(lines.every(({ text }) => !text.includes("\u001b"))).toBe(true);
    }
  });

  test("gives wide characters two columns, so that no line is wider than the terminal", () => {
    const { model, sample } = world();
    const actors = sample.actors.map((actor) => (actor.path === "b" ? { ...actor, state: "注文を受け付けました\u{1f600}e\u0301" } : actor));
    const [, , , titles = "", , row = ""] = screenLines(
      firstView,
      { model, sample: { ...sample, actors }, place: "x" },
      { width: 80, height: 8 },
    ).map(({ text }) => text);
    expect(columnsOf(row.slice(0, row.indexOf("500 ms")))).toBe(titles.indexOf("for"));
    const narrow = screenLines(firstView, { model, sample: { ...sample, actors }, place: "注文".repeat(40) }, { width: 40, height: 8 });
    expect([39, 40]).toContain(columnsOf(narrow[0]?.text ?? ""));
    expect([columnsOf("注文ab"), columnsOf("e\u0301"), columnsOf("\u{1f600}"), columnsOf("é·…")]).toEqual([6, 1, 2, 3]);
    expect([cutTo("注文ab", 4), cutTo("注文ab", 6), cutTo("", 0)]).toEqual(["注…", "注文ab", ""]);
  });

  test("shows in its last line how to quit and to get help, however narrow it is", () => {
    const there = world();
    const footAt = (width: number, view = firstView) =>
      screenLines(view, { ...there, place: "realm shop" }, { width, height: 8 }).at(-1)?.text;
    expect(footAt(120)).toBe("up/down select   Enter machine   s sort (path)   r reverse   a all actors   p pause   ? help   q quit");
    expect(footAt(80)).toBe("up/down select   Enter machine   s sort (path)   a all actors   ? help   q quit");
    expect(footAt(40)).toBe("Enter machine   ? help   q quit");
    expect(footAt(40, { ...firstView, isOpen: true })).toBe("up/down scroll   Esc back   q quit");
    expect(footAt(20)).toBe("? help   q quit");
  });

  test("shows the latest notice, such as a lost link, above the table", () => {
    const content = { ...world(), place: "realm shop", notice: "18:05:00   the link to 127.0.0.1:4222 is disconnected" };
    expect(screenLines(firstView, content, { width: 80, height: 8 })[2]?.text).toBe(content.notice);
  });

  test("is changed by keys: sort, reverse, all actors, pause, help, and quit", () => {
    const { sample } = world();
    const press = (view: TopView, ...keys: string[]) => keys.reduce<TopView>((at, key) => afterKey(at, key, sample, 10) ?? at, view);
    expect(shownActors(press(firstView, "a"), sample)).toHaveLength(3);
    expect(press(firstView, "s", "s", "s").sort).toBe("events");
    expect(shownActors(press(firstView, "s", "s", "s"), sample).map(({ path }) => path)).toEqual(["b", "a"]);
    expect(shownActors(press(firstView, "r"), sample).map(({ path }) => path)).toEqual(["b", "a"]);
    expect(press(firstView, "p", "?")).toMatchObject({ isPaused: true, isHelp: true });
    expect(press(firstView, "x")).toEqual(firstView);
    expect(afterKey(firstView, "q", sample, 10)).toBeUndefined();
    expect(afterKey(firstView, "\u0003", sample, 10)).toBeUndefined();
    expect(afterKey(firstView, "down", undefined, 10)).toEqual(firstView);
  });
});

describe("a terminal", () => {
  test("sends keys, also several at once", () => {
    expect(keysIn("\u001b[A\u001b[Bq\r\u001b")).toEqual(["up", "down", "q", "enter", "escape"]);
    expect(keysIn("\u001b[200~")).toEqual([]);
  });

  test("looks afterwards as before: also when the process ends in between", () => {
    const written: string[] = [];
    const raw: boolean[] = [];
    let exit: (() => void) | undefined;
    const none = () => undefined;
    const screen = new Screen({
      input: { setRawMode: (isRaw) => raw.push(isRaw), on: none, off: none, resume: none, pause: none },
      output: { columns: 40, rows: 10, write: (text) => written.push(text) > 0, on: none, off: none },
      hasColor: false,
      onKey: none,
      onResize: none,
      onExit: (action) => {
        exit = action;
        return () => undefined;
      },
    });
    screen.show([{ text: "hello", style: "head" }]);
    expect(written.at(-1)).toBe("\u001b[Hhello\u001b[K\u001b[J");
    exit?.();
    screen.close();
    expect(written.at(-1)).toBe("\u001b[?25h\u001b[?1049l");
    expect(written.filter((text) => text.includes("1049l"))).toHaveLength(1);
    expect(raw).toEqual([true, false]);
  });
});
