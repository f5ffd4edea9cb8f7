import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Bus, BusEvent } from "../../transport/index.js";
import { systemClock } from "../../core/index.js";
import { rejected } from "./transport-steps.js";

/** Short times, so that silence is noticed within a test. All buses of a suite have them. */
export const busPace = { heartbeatIntervalMs: 150, heartbeatTimeoutMs: 1_000 } as const;

/** A node's bus on its own link. */
export interface BusNode {
  readonly bus: Bus;
  close(): Promise<void>;
}

/** Faults of the link of one node. */
export interface BusLink {
  cut(): void;
  /** Nothing passes, and no side is notified. */
  stall(): void;
  mend(): void;
}

/** The broker of buses of one kind. */
export interface BusSetup {
  /** A bus that does not follow yet. */
  open(prefix?: string): Promise<BusNode & { readonly link?: BusLink }>;
  /** Kills the broker and starts it again with its data. Undefined: there is no broker. */
  readonly restart?: () => Promise<void>;
  close(): Promise<void>;
}

/** Traits of a kind of bus. */
export interface BusTraits {
  /** All nodes give the same invalidation the same number. */
  readonly oneOrder: boolean;
  /** The bus reports missed invalidations after a cut, without a reset. */
  readonly keepsHistory: boolean;
  readonly hasLinks: boolean;
}

/** A bus and all events that it reported. */
export class HeardBus {
  readonly events: BusEvent[] = [];
  readonly bus: Bus;
  readonly #waiting = new Set<() => void>();

  constructor(bus: Bus) {
    this.bus = bus;
    bus.listen((event) => {
      this.events.push(event);
      for (const look of this.#waiting) look();
    });
  }

  get tags(): string[] {
    return this.invalidated.map(({ tag }) => tag);
  }

  get invalidated(): (BusEvent & { type: "invalidated" })[] {
    return this.events.filter((event) => event.type === "invalidated");
  }

  count(type: BusEvent["type"]): number {
    return this.events.filter((event) => event.type === type).length;
  }

  /** Resolves as soon as the events so far fulfil `condition`. */
  async until(condition: (heard: HeardBus) => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (!condition(this)) return;
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
      look();
    });
  }

  /** Resolves when the bus follows and has reported `tags`, or a reset after `from` events that stands for them. */
  async caughtUp(tags: readonly string[], from = 0): Promise<void> {
    await this.until(({ events }) => {
      const since = events.slice(from);
      const reported = new Set(since.map((event) => (event.type === "invalidated" ? event.tag : "")));
      return this.bus.state.type === "following" && (tags.every((tag) => reported.has(tag)) || since.some(({ type }) => type === "reset"));
    });
  }
}

/** Tests a bus against the numbered promises of transport/bus.ts. */
export function busSuite(name: string, traits: BusTraits, makeSetup: () => Promise<BusSetup>): void {
  describe(`the bus ${name}`, () => {
    let setup: BusSetup;
    const open: BusNode[] = [];

    beforeEach(async () => {
      setup = await makeSetup();
    });
    afterEach(async () => {
      for (const node of open.splice(0)) {
        await node.bus.close();
        await node.close();
      }
      await setup.close();
    });

    async function make(prefix?: string): Promise<{ heard: HeardBus; bus: Bus; link: BusLink | undefined }> {
      const node = await setup.open(prefix);
      node.bus.proveWithin?.(busPace.heartbeatTimeoutMs);
      open.push(node);
      return { heard: new HeardBus(node.bus), bus: node.bus, link: node.link };
    }

    async function follow(prefix?: string) {
      const node = await make(prefix);
      await node.bus.follow(undefined);
      return node;
    }

    describe("1. order", () => {
      test("every node reports the invalidations of all nodes, those of each publisher in order", async () => {
        const nodes = [await follow(), await follow(), await follow()];
        const count = 100;
        await Promise.all(
          nodes.flatMap(({ bus }, node) => Array.from({ length: count }, (_, n) => bus.publish(`t:${node}:${n}`, `${node}-${n}`))),
        );
        for (const { heard } of nodes) {
          await heard.until(({ tags }) => tags.length === 3 * count);
          for (const node of nodes.keys()) {
            const own = heard.tags.filter((tag) => tag.startsWith(`t:${node}:`));
            expect(own).toEqual(Array.from({ length: count }, (_, n) => `t:${node}:${n}`));
          }
          const sequences = heard.invalidated.map(({ version }) => version.sequence);
          expect(sequences).toEqual([...new Set(sequences)].sort((a, b) => a - b));
        }
        const [first, ...others] = nodes.map(({ heard }) =>
          heard.invalidated.map(({ id, version }) => [id, version.epoch, version.sequence]),
        );
        if (traits.oneOrder) for (const other of others) expect(other).toEqual(first);
      });

      test("positions never go back, and heartbeats and resets stand in the same order as invalidations", async () => {
        const [one, two] = [await follow(), await follow()];
        for (let n = 0; n < 20; n++) await (n % 2 === 0 ? one : two).bus.publish(`n:${n}`, `id-${n}`);
        await two.heard.until(({ tags }) => tags.length === 20);
        const sequences = two.heard.events.flatMap((event) => (event.type === "cut" ? [] : [event.version.sequence]));
        expect(sequences).toEqual([...sequences].sort((a, b) => a - b));
      });
    });

    describe("2. no gap unnoticed", () => {
      test("the first event is a reset at the end, then the bus follows", async () => {
        const first = await follow();
        await first.bus.publish("before", "id");
        const { heard, bus } = await follow();
        expect(heard.tags).toEqual([]);
        expect(heard.events[0]).toMatchObject({ type: "reset" });
        expect(heard.events.find(({ type }) => type !== "reset" && type !== "heartbeat")).toMatchObject({ type: "following" });
        expect(bus.state.type).toBe("following");
      });
    });

    describe("3. at least once", () => {
      test("publish resolves to the version under which its own node reports the invalidation", async () => {
        const { bus, heard } = await follow();
        const versions = await Promise.all(["a", "b", "a"].map((tag, n) => bus.publish(tag, `id-${n}`)));
        await heard.until(({ tags }) => tags.length === 3);
        expect(heard.invalidated.map(({ tag, version: { epoch, sequence } }) => ({ tag, epoch, sequence }))).toEqual(
          ["a", "b", "a"].map((tag, n) => ({ tag, ...versions[n] })),
        );
      });

      test("a closed bus takes no publication, reports nothing more, and rejects publications in flight", async () => {
        const [closing, other] = [await follow(), await follow()];
        await closing.bus.publish("a", "1");
        const before = closing.heard.events.length;
        await Promise.all([closing.bus.close(), closing.bus.close()]);
        await other.bus.publish("b", "2");
        expect(closing.heard.events.slice(before)).toEqual([]);
        expect(closing.bus.state).toEqual({ type: "cut" });
        const closed = expect.objectContaining({ code: "ZOOID_CLOSED" });
        expect(await rejected(closing.bus.publish("c", "3"))).toEqual(closed);
        expect(await rejected(closing.bus.follow(undefined))).toEqual(closed);
      });

      test("a bus that leaves after its goodbye makes no other node discard", async () => {
        const [leaving, staying] = [await follow(), await follow()];
        await leaving.bus.publish("a", "1");
        await staying.heard.until(({ tags }) => tags.length === 1);
        const resets = staying.heard.count("reset");
        await leaving.bus.close();
        const since = staying.bus.heardAt;
        await staying.bus.publish("b", "2");
        await staying.heard.until(() => staying.bus.heardAt > since + (traits.hasLinks ? busPace.heartbeatTimeoutMs * 1.5 : 0));
        expect(staying.heard.count("reset")).toBe(resets);
      });
    });

    describe("5. events", () => {
      test("tags that differ only in their dividers are reported as they were published, the root too", async () => {
        const [one, two] = [await follow(), await follow()];
        const tags = ["a.b:c", "a:b.c", "a:b:c", "a.b.c", "a_b:c", "", "_.a:_"];
        for (const [n, tag] of tags.entries()) await one.bus.publish(tag, `id-${n}`);
        await two.heard.until((heard) => heard.tags.length === tags.length);
        expect(two.heard.tags).toEqual(tags);
      });

      test("nodes of another prefix report nothing", async () => {
        const [one, same, other] = [await follow("p"), await follow("p"), await follow("q")];
        await one.bus.publish("a", "1");
        await other.bus.publish("b", "2");
        await same.heard.until(({ tags }) => tags.length === 1);
        expect(other.heard.tags).toEqual(["b"]);
      });

      test("a listener that throws harms neither its bus nor the others", async () => {
        const [other, node] = [await follow(), await setup.open()];
        open.push(node);
        node.bus.listen(() => {
          throw new Error("listener");
        });
        await node.bus.follow(undefined);
        await node.bus.publish("a", "1");
        await other.bus.publish("b", "2");
        await other.heard.until(({ tags }) => tags.length === 2);
      });
    });

    if (!traits.hasLinks) return;

    describe("2. no gap unnoticed, over links that break", () => {
      test.each(["cut", "stall"] as const)("after its link was %s, a node reports what it missed, or a reset", async (how) => {
        const [one, two] = [await follow(), await follow()];
        await one.bus.publish("before", "0");
        await two.heard.until(({ tags }) => tags.includes("before"));
        const [from, resets] = [two.heard.events.length, two.heard.count("reset")];
        two.link?.[how]();
        await two.heard.until((heard) => heard.count("cut") === 1);
        expect(two.bus.state.type).toBe("cut");
        const missed = ["x", "y", "x:z"];
        for (const [n, tag] of missed.entries()) await one.bus.publish(tag, `id-${n}`);
        two.link?.mend();
        await two.heard.caughtUp(missed, from);
        if (!traits.keepsHistory) return;
        expect(two.heard.count("reset")).toBe(resets);
        expect(two.heard.tags).toEqual(one.heard.tags);
      });

      test("a node whose link is cut again and again misses nothing", async () => {
        const [one, two] = [await follow(), await follow()];
        const tags = Array.from({ length: 60 }, (_, n) => `t:${n}`);
        for (const [n, tag] of tags.entries()) {
          if (n % 20 === 5) two.link?.cut();
          if (n % 20 === 15) two.link?.mend();
          await one.bus.publish(tag, `id-${n}`);
          if (n % 20 === 15) await two.heard.until(() => two.bus.state.type === "following");
        }
        if (traits.keepsHistory) await two.heard.until((heard) => new Set(heard.tags).size === tags.length);
        else await two.heard.until((heard) => heard.count("cut") === 3 && heard.count("reset") >= 4 && heard.tags.includes("t:59"));
        expect(one.heard.count("cut")).toBe(0);
      });
    });

    describe("3. at least once, over links that break", () => {
      test("an invalidation published while cut off is reported by others once the link is back", async () => {
        const [one, two] = [await follow(), await follow()];
        one.link?.cut();
        await one.heard.until((heard) => heard.count("cut") === 1);
        const published = Promise.all(["a", "b"].map((tag) => one.bus.publish(tag, tag)));
        const from = two.heard.events.length;
        one.link?.mend();
        const versions = await published;
        expect(versions.every(({ sequence }) => Number.isSafeInteger(sequence))).toBe(true);
        await two.heard.caughtUp(["a", "b"], from);
      });

      test("publications in flight when the broker is killed reach all nodes, and no promise stays open", async () => {
        const [one, two] = [await follow(), await follow()];
        const tags = Array.from({ length: 200 }, (_, n) => `t:${n}`);
        for (const half of [tags.slice(0, 100), tags.slice(100)]) {
          const from = two.heard.events.length;
          const published = Promise.all(half.map((tag) => one.bus.publish(tag, tag)));
          await setup.restart?.();
          await published;
          await two.heard.caughtUp(half, from);
        }
        if (traits.keepsHistory) expect(new Set(two.heard.tags)).toEqual(new Set(tags));
      });

      test("a close while cut off rejects waiting publications", async () => {
        const { bus, heard, link } = await follow();
        link?.cut();
        await heard.until(({ events }) => events.some(({ type }) => type === "cut"));
        const waiting = rejected(bus.publish("a", "1"));
        await bus.close();
        expect(await waiting).toMatchObject({ code: "ZOOID_CLOSED" });
      });
    });

    describe("4. in touch", () => {
      test("heartbeats keep a quiet bus in touch", async () => {
        const { bus, heard } = await follow();
        const since = bus.heardAt;
        await heard.until(() => bus.heardAt > since + 3 * busPace.heartbeatIntervalMs);
        expect(heard.count("cut")).toBe(0);
        expect(heard.count("heartbeat")).toBeGreaterThan(0);
      });

      test("while nothing passes, the time of the last proof stands still, and publish waits", async () => {
        const { bus, heard, link } = await follow();
        link?.stall();
        await heard.until(({ events }) => events.some(({ type }) => type === "cut"));
        const heardAt = bus.heardAt;
        expect(systemClock.monotonic() - heardAt).toBeGreaterThanOrEqual(busPace.heartbeatTimeoutMs * 0.9);
        const published = bus.publish("a", "1");
        expect(bus.heardAt).toBe(heardAt);
        link?.mend();
        await published;
        await heard.until(() => bus.heardAt > heardAt && bus.state.type === "following");
      });
    });
  });
}
