import { expect, onTestFinished, test } from "vitest";
import { createCache } from "../../cache.js";
import { silentLog } from "../../core/index.js";
import { jetStreamConfig } from "../support/nats-buses.js";
import { startNatsServer } from "../support/nats-server.js";
import { zooid } from "./run-zooid.js";
import { until } from "../support/until.js";

test("nodes on a stream show its sequence numbers, the same at each node, and any of them accepts commands", async () => {
  await using server = await startNatsServer({ config: jetStreamConfig() });
  const open = async (node: string) => {
    const cache = await createCache({ busUrl: server.url, node });
    onTestFinished(() => cache.close());
    await until(() => cache.stats().bus?.type === "following");
    return cache;
  };
  const [a, b] = [await open("A"), await open("B")];
  await a.set("x", 1, { tags: ["cities:DE"] });
  await b.set("y", 1, { tags: ["cities:DE:Jena"] });
  const ask = async (...words: readonly string[]) => {
    const { lines, error } = await zooid(["cache", ...words, "--json", "--servers", server.url, "--wait", "1s"]);
    expect(error).toBeUndefined();
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  };
  expect(await ask("invalidate", "cities", "--node", "A")).toMatchObject([{ node: "A", outcome: "published" }]);
  await until(() => b.tagVersion("cities") > 0);
  expect([await a.get("x"), await b.get("y")]).toEqual([undefined, undefined]);
  const versions = (await ask("tags", "cities")).filter(({ tag }) => tag === "cities").map(({ version }) => version);
  expect(versions).toEqual([a.tagVersion("cities"), a.tagVersion("cities")]);
  expect(await ask("stats")).toMatchObject([
    { node: "A", bus: "jetstream", stats: { isInTouch: true, bus: { type: "following" } } },
    { node: "B", bus: "jetstream" },
  ]);
});

test("a broker user with permissions for the bus only has a cache without an endpoint", async () => {
  const bus = ["zooid.zooid.invalidations.>", "_INBOX.>"];
  const permissions = `{ publish: ${JSON.stringify(bus)}, subscribe: ${JSON.stringify(bus)} }`;
  const config = `authorization { users = [{ user: bus, password: b, permissions: ${permissions} }, { user: all, password: a }] }`;
  await using server = await startNatsServer({ config });
  const warned: string[] = [];
  const log = { ...silentLog, warn: (_: object, message: string) => void warned.push(message) };
  const open = async (node: string, user: string, password: string) => {
    const cache = await createCache({ busUrl: server.url, busKind: "nats", node, user, password, log });
    onTestFinished(() => cache.close());
    await until(() => cache.stats().bus?.type === "following");
    return cache;
  };
  const restricted = await open("restricted", "bus", "b");
  const other = await open("other", "all", "a");
  await restricted.set("x", 1, { tags: ["a"] });
  expect(warned).toContain("NATS refused something");
  const credentials = ["--servers", server.url, "--user", "all", "--password", "a", "--wait", "1s"];
  const { lines } = await zooid(["cache", "invalidate", "a", ...credentials]);
  expect(lines).toEqual(["node   outcome", "other  published"]);
  await until(() => restricted.tagVersion("a") > 0);
  expect([await restricted.get("x"), other.stats().isInTouch]).toEqual([undefined, true]);
  const { error } = await zooid(["cache", "stats", "--servers", server.url, "--user", "all", "--password", "wrong"]);
  expect(error).toMatchObject({ code: "ZOOID_NOT_AUTHORIZED" });
});
