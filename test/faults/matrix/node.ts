/**
 * A process that embeds the cache, with one cache per cell, and performs requests of the test. It ends with its parent.
 */
import { type Cache, type Cached, createCache } from "../../../cache.js";
import { type Clock, type Log, systemClock } from "../../../core/index.js";
import type { Ask, CallAnswer, FromNode, ToNode } from "./protocol.js";

/** Latest log lines that are kept per cache. */
const linesMax = 60;
const fillerBytes = 1_024;

interface Opened {
  readonly cache: Cache;
  readonly page: Cached<(entry: string) => Promise<number>>;
  readonly filler: (name: string) => Promise<string>;
  readonly lines: readonly string[];
}

const opened = new Map<string, Opened>();
const reading = new Map<number, (version: number) => void>();
let reads = 0;

const send = (message: FromNode): void => {
  process.send?.(message);
};

/** A wall clock that is `behindMs` behind. Durations are those of the system. */
const clockBehind = (behindMs: number): Clock => ({ ...systemClock, now: () => systemClock.now() - behindMs });

function remembering(lines: string[]): Log {
  const at = (level: string) => (facts: object, message: string) => {
    const shown = Object.entries(facts).map(([name, value]) => `${name}=${value instanceof Error ? value.message : JSON.stringify(value)}`);
    lines.push(`${systemClock.monotonic().toFixed(0)} ms ${level} ${message} ${shown.join(" ")}`);
    if (lines.length > linesMax) lines.shift();
  };
  return { trace: at("trace"), debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error"), fatal: at("fatal") };
}

function readRow(cell: string, entry: string): Promise<number> {
  const number = ++reads;
  return new Promise((resolve) => {
    reading.set(number, resolve);
    send({ type: "read", number, cell, entry });
  });
}

async function open({ cell, options, wallClockBehindMs }: Extract<Ask, { type: "open" }>): Promise<void> {
  const lines: string[] = [];
  const cache = await createCache({ ...options, clock: clockBehind(wallClockBehindMs), log: remembering(lines) });
  const page = cache.cacheable(async (entry: string) => readRow(cell, entry), { name: "page", deps: (entry) => [entry] });
  const filler = cache.cacheable(async (name: string) => name.padEnd(fillerBytes, "."), { name: "filler", deps: ["filler"] });
  opened.set(cell, { cache, page, filler, lines });
}

async function call({ cache, page }: Opened, entry: string): Promise<CallAnswer> {
  const isFollowing = cache.stats().bus?.type === "following";
  return { version: await page(entry), isFollowing };
}

function cellOf({ cell }: { readonly cell: string }): Opened {
  const found = opened.get(cell);
  if (found === undefined) throw new Error(`the cache of ${cell} is not open here`);
  return found;
}

async function obey(ask: Ask): Promise<unknown> {
  switch (ask.type) {
    case "open":
      return open(ask);
    case "call":
      return call(cellOf(ask), ask.entry);
    case "invalidateKey":
      return cellOf(ask).page.invalidate(ask.entry);
    case "invalidateTag":
      return cellOf(ask).cache.invalidate(ask.tag);
    case "prune":
      return cellOf(ask).cache.prune(0);
    case "fill":
      for (let each = 0; each < ask.entries; each++) await cellOf(ask).filler(`filler ${each}`);
      return undefined;
    case "stats":
      return cellOf(ask).cache.stats();
    case "log":
      return cellOf(ask).lines;
    case "memory":
      (globalThis as { gc?: () => void }).gc?.();
      return process.memoryUsage().heapUsed;
  }
}

process.on("message", (message: ToNode) => {
  if (message.type === "row") {
    reading.get(message.number)?.(message.version);
    reading.delete(message.number);
    return;
  }
  const { number, ask } = message;
  obey(ask).then(
    (answer) => send({ type: "answer", number, answer }),
    (error: unknown) => send({ type: "failure", number, failure: String(error instanceof Error ? (error.stack ?? error.message) : error) }),
  );
});
process.once("disconnect", () => process.exit());
send({ type: "ready" });
