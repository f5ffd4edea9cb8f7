import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "vitest";
import { connect } from "../../index.js";
import { silentLog, systemRandom, systemClock } from "../../core/index.js";
import { createBroker, serveBroker } from "../../transport/index.js";
import { temporaryFolders } from "../support/temporary-folder.js";
import { until } from "../support/until.js";
import { freePorts } from "./free-ports.js";
import { built } from "../support/built.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = temporaryFolders();
const open: (() => Promise<unknown>)[] = [];
const children = new Set<ChildProcess>();
/** Long, since processes start slowly on a busy machine. */
const timeoutMs = 60_000;

afterEach(async () => {
  for (const child of children) child.kill("SIGKILL");
  children.clear();
  for (const close of open.splice(0).toReversed()) await close();
});

async function startBroker(port = 0) {
  const seams = { clock: systemClock, random: systemRandom, log: silentLog };
  const served = await serveBroker({ broker: createBroker(seams), port, ...seams });
  open.push(() => served.close());
  return served.url;
}

/** Runs `zooid serve --json`. Returns promises of its ready line, its first event on standard error, and its exit. */
function serve(url: string, data: string, words: readonly string[] = []) {
  const all = [built("cli/zooid.js"), "serve", "--json", "--servers", url, "--data", data, ...words];
  const child = spawn(process.execPath, all, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  children.add(child);
  const said = text(child.stderr);
  const ended = once(child, "close").then(async ([code]) => ({ code: code as number | null, err: await said }));
  const line = once(createInterface({ input: child.stdout }), "line").then(([text_]) => JSON.parse(text_ as string) as unknown);
  const ready = Promise.race([
    line,
    ended.then(({ err }) => {
      throw new Error(`it ended before it was ready: ${err}`);
    }),
  ]);
  // Only some tests wait for `ready`.
  ready.catch(() => undefined);
  return { child, ready, ended, notice: firstEvent(createInterface({ input: child.stderr })) };
}

/** The first line that is an event, not a log record. Undefined when there is none. */
async function firstEvent(lines: AsyncIterable<string>): Promise<unknown> {
  for await (const line of lines) {
    if (line.startsWith('{"event"')) return JSON.parse(line);
  }
  return undefined;
}

describe("zooid serve", () => {
  test(
    "keeps acknowledged commits after SIGKILL, and closes cleanly on SIGTERM",
    async () => {
      const [url, data] = [await startBroker(), await folder()];
      const first = serve(url, data);
      expect(await first.ready).toMatchObject({ event: "ready", realm: "zooid", storages: [{ storage: "main", tid: 0 }] });
      const client = await connect({ servers: url, client: "writer", cache: "transient" });
      open.push(() => client.close());
      const tid = await client.put("a", "kept");
      first.child.kill("SIGKILL");
      await first.ended;

      const second = serve(url, data);
      expect(await second.ready).toMatchObject({ storages: [{ storage: "main", tid }] });
      await client.connected();
      await client.put("b", "also");
      second.child.kill("SIGTERM");
      expect(await second.ended).toEqual({ code: 0, err: "" });
    },
    timeoutMs,
  );

  test(
    "serves several storages, each in a folder of its own",
    async () => {
      const [url, data] = [await startBroker(), await folder()];
      await serve(url, data, ["--storages", "main,archive"]).ready;
      const [main, archive] = await Promise.all(
        ["main", "archive"].map((storage) => connect({ servers: url, storage, client: storage, cache: "transient" })),
      );
      open.push(
        () => main?.close() ?? Promise.resolve(),
        () => archive?.close() ?? Promise.resolve(),
      );
      await main?.put("a", 1);
      expect(await archive?.get("a")).toBeUndefined();
    },
    timeoutMs,
  );

  test(
    "refuses commits when it is read-only",
    async () => {
      const [url, data] = [await startBroker(), await folder()];
      await serve(url, data, ["--read-only"]).ready;
      const client = await connect({ servers: url, client: "reader", cache: "transient" });
      open.push(() => client.close());
      await expect(client.put("a", 1)).rejects.toMatchObject({ code: "ZOOID_READ_ONLY" });
    },
    timeoutMs,
  );

  test(
    "ends at once where its folder cannot be made, on any file system",
    async () => {
      const [url, data] = [await startBroker(), await folder()];
      await writeFile(join(data, "file"), "");
      for (const path of ["/proc/zooid/data", "/sys/zooid", join(data, "file"), join(data, "file", "within")]) {
        const { code, err } = await serve(url, path).ended;
        expect({ code, error: JSON.parse(err) as unknown }).toMatchObject({ code: 1, error: { error: { code: "ZOOID_STORE" } } });
      }
    },
    timeoutMs,
  );

  test(
    "ends on SIGTERM while it waits for a broker",
    async () => {
      const [port = 0] = await freePorts(1);
      const waiting = serve(`ws://127.0.0.1:${port}`, await folder());
      expect(await waiting.notice).toMatchObject({ event: "waiting" });
      waiting.child.kill("SIGTERM");
      expect(await waiting.ended).toMatchObject({ code: 143 });
    },
    timeoutMs,
  );

  test(
    "ends on SIGTERM while it opens its storages",
    async () => {
      const [url, data] = [await startBroker(), await folder()];
      const names = Array.from({ length: 60 }, (_, index) => `s${index}`);
      const opened = () => names.filter((name) => existsSync(join(data, name, "data.mdb"))).length;
      const { child, ended } = serve(url, data, ["--storages", names.join(",")]);
      await until(() => opened() > 0);
      child.kill("SIGTERM");
      expect(await ended).toEqual({ code: 143, err: "" });
      expect(opened()).toBeLessThan(names.length);
    },
    timeoutMs,
  );

  test(
    "refuses a folder that another server uses, and a storage that another server serves",
    async () => {
      const [url, data] = [await startBroker(), await folder()];
      await serve(url, data).ready;
      const otherRealm = serve(url, data, ["--realm", "other"]);
      const otherFolder = serve(url, await folder());
      const [inUse, anotherWriter] = await Promise.all([otherRealm.ended, otherFolder.ended]);
      expect(JSON.parse(inUse.err)).toMatchObject({ error: { code: "ZOOID_IN_USE" } });
      expect(JSON.parse(anotherWriter.err)).toMatchObject({ error: { code: "ZOOID_ANOTHER_WRITER" } });
      expect([inUse.code, anotherWriter.code]).toEqual([1, 1]);
    },
    timeoutMs,
  );

  test(
    "waits for a broker that does not run yet",
    async () => {
      const [port = 0] = await freePorts(1);
      const waiting = serve(`ws://127.0.0.1:${port}`, await folder());
      expect(await waiting.notice).toMatchObject({ event: "waiting", address: `ws://127.0.0.1:${port}` });
      await startBroker(port);
      expect(await waiting.ready).toMatchObject({ event: "ready" });
    },
    timeoutMs,
  );
});
