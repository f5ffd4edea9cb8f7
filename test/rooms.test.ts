import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { filesIn, readSource, root, type Source, undocumentedExports } from "./support/source.js";

/**
 * Imports allowed to a room beside its own files: rooms (without the rooms inside them), single files, and, if listed,
 * packages.
 */
interface Arrows {
  readonly ours: readonly string[];
  readonly packages?: readonly string[];
}

const faces = ["index.ts", "server.ts", "cache.ts", "machines", "actors"];

/** A room for each part of the product on each floor; every folder of the library is one. */
const rooms: Readonly<Record<string, Arrows>> = {
  core: { ours: ["core/errors", "core/limits"] },
  "core/limits": { ours: [], packages: [] },
  "core/errors": { ours: ["core"] },

  "machines/shared": { ours: [], packages: [] },
  "machines/client": { ours: ["machines/shared"], packages: ["xstate"] },
  "machines/server": { ours: ["machines/shared"], packages: ["xstate"] },
  "machines/cache": { ours: ["machines/shared"], packages: ["xstate"] },
  "machines/system": { ours: ["machines/shared"], packages: ["xstate"] },
  machines: { ours: ["machines/client", "machines/server", "machines/cache", "machines/system"], packages: [] },

  "storage/kv": { ours: ["core"] },
  "storage/objects": { ours: ["core", "storage/kv"] },
  "storage/client-cache": { ours: ["core", "storage/kv"] },
  "storage/results": { ours: ["core", "storage/kv"] },

  // The index and open.ts choose among the kinds of links.
  transport: { ours: ["core", "transport/nats", "transport/jetstream", "transport/websocket"] },
  "transport/nats": { ours: ["core", "transport"] },
  "transport/jetstream": { ours: ["core", "transport"] },
  "transport/websocket": { ours: ["core", "transport"] },

  "actors/protocol": { ours: ["core", "transport"] },
  "actors/drawing": { ours: ["core"], packages: ["xstate", "elkjs/lib/elk-api.js", "node:module", "node:worker_threads"] },
  "actors/record": { ours: ["core", "transport", "actors/protocol", "actors/system", "actors/drawing"] },
  "actors/stately": {
    ours: ["core", "transport", "transport/websocket", "actors/record", "actors/system", "actors/drawing"],
    packages: ["xstate", "ws", "node:http", "node:net", "node:stream"],
  },
  "actors/system": { ours: ["core", "machines/system", "transport", "actors/protocol", "actors/record", "actors/drawing"] },
  "actors/tracking": { ours: ["core"] },
  "actors/server": {
    ours: ["core", "machines/server", "storage/kv", "storage/objects", "transport", "actors/protocol", "actors/system", "actors/record"],
  },
  "actors/client/connection": { ours: ["core", "machines/client", "storage/client-cache", "transport", "actors/protocol"] },
  "actors/client": {
    ours: [
      "core",
      "machines/client",
      "storage/kv",
      "storage/client-cache",
      "transport",
      "actors/protocol",
      "actors/system",
      "actors/record",
      "actors/tracking",
      "actors/client/connection",
    ],
  },
  "actors/cache": {
    ours: [
      "core",
      "machines/cache",
      "storage/kv",
      "storage/results",
      "transport",
      "transport/nats",
      "transport/jetstream",
      "actors/tracking",
      "actors/record",
      "actors/system",
      "actors/cache/admin",
      "actors/cache/bus",
    ],
  },
  "actors/cache/bus": { ours: ["core", "machines/cache", "transport", "transport/nats", "transport/jetstream"] },
  "actors/cache/admin": {
    ours: ["core", "storage/results", "transport", "actors/protocol", "actors/system", "actors/cache", "actors/cache/bus"],
  },
  actors: { ours: ["core", "transport", "transport/websocket", "actors/system", "actors/record", "actors/stately", "actors/drawing"] },

  fastify: { ours: ["cache.ts", "core"], packages: ["fastify", "node:crypto"] },
  prometheus: { ours: ["cache.ts", "core"], packages: ["prom-client"] },
  testing: { ours: ["core", "storage/kv", "transport", "actors/client"] },
  "testing/suites": { ours: ["core", "storage/kv", "transport", "testing"], packages: ["vitest", "node:timers/promises"] },
  // The command makes folders in the same way as the storage.
  cli: { ours: [...faces, "core", "cli/commands", "storage/kv/make-folder.ts"] },
  "cli/top": { ours: [...faces, "core", "cli"], packages: [] },
  "cli/commands": { ours: [...faces, "core", "cli", "cli/top"] },
  // The imports of a user's service, and the conventions of the command line.
  "examples/cities": { ours: [...faces, "examples/cities/up", "cli"] },
  "examples/cities/up": { ours: [...faces, "core", "examples/cities", "cli", "storage/kv/make-folder.ts"] },
  "examples/orders": { ours: [...faces, "core", "examples/cities/up", "cli", "storage/kv/make-folder.ts"] },
  // It measures single parts too, and no room imports it.
  bench: {
    ours: [...faces, "core", "storage/client-cache", "storage/results", "transport", "transport/nats", "actors/cache", "actors/cache/bus"],
  },
};

/** Parts of the product. None may import another one, not even through other files. */
const parts = ["client", "server", "cache"] as const;
const roomsOf = {
  client: ["client", "client/connection", "client-cache"],
  server: ["server", "objects"],
  cache: ["cache", "cache/admin", "cache/bus", "results"],
} as const;

const folderOf = (path: string): string => (path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "");
const sources = Object.keys(rooms).flatMap((room) => filesIn(room).filter((path) => folderOf(path) === room));
const read = new Map([...sources, ...publicFiles()].map((path) => [path, readSource(path)]));

/** Names that read a clock, randomness or the environment, or have an effect outside of a machine. */
const outside = [
  "Date",
  "performance",
  "Math.random",
  "crypto",
  "process",
  "setTimeout",
  "setInterval",
  "setImmediate",
  "queueMicrotask",
  "globalThis",
  "console",
  "fetch",
];

/** The files that users import, each a subpath of the package. */
function publicFiles(): readonly string[] {
  const { exports } = readSettings<{ exports: Readonly<Record<string, string | { readonly types: string }>> }>("package.json");
  return Object.values(exports).flatMap((target) =>
    typeof target === "string" ? [] : [target.types.replace(/^\.\/dist\//, "").replace(/\.d\.ts$/, ".ts")],
  );
}

describe("rooms", () => {
  test.each(Object.keys(rooms))("%s imports only from its allowed rooms", (room) => {
    const { ours, packages } = rooms[room] ?? { ours: [] };
    const isAllowed = (target: string) => {
      if (!target.endsWith(".ts")) return packages === undefined || packages.includes(target);
      return folderOf(target) === room || ours.includes(folderOf(target)) || ours.includes(target);
    };
    const wrong = sources
      .filter((path) => folderOf(path) === room)
      .flatMap((path) =>
        importsOf(path)
          .filter((target) => !isAllowed(target))
          .map((target) => `${path} imports ${target}`),
      );
    expect(wrong).toEqual([]);
  });

  test.each(parts)("the %s imports no other part of the product, not even through other files", (part) => {
    const isOf = (one: (typeof parts)[number], path: string) =>
      roomsOf[one].some((name) => ["actors", "machines", "storage"].some((floor) => folderOf(path) === `${floor}/${name}`));
    const reached = new Set(sources.filter((path) => isOf(part, path)));
    for (const path of reached) for (const target of importsOf(path)) if (target.endsWith(".ts")) reached.add(target);
    const others = parts.filter((other) => other !== part);
    const wrong = [...reached].filter((path) => path !== "machines/server/pruning.ts" && others.some((other) => isOf(other, path)));
    expect(wrong).toEqual([]);
  });

  test("no files import each other in a circle, types included", () => {
    const done = new Set<string>();
    const circles: string[] = [];
    const visit = (path: string, way: readonly string[]): void => {
      if (way.includes(path)) circles.push([...way.slice(way.indexOf(path)), path].join(" -> "));
      if (way.includes(path) || done.has(path)) return;
      for (const target of read.get(path)?.imports ?? []) if (read.has(target)) visit(target, [...way, path]);
      done.add(path);
    };
    for (const path of read.keys()) visit(path, []);
    expect(circles).toEqual([]);
  });

  test("no folder holds more than 30 files, and actors and machines hold no file but their index", () => {
    const tracked = trackedFiles().filter((path) => path.includes("/"));
    const counts = new Map<string, number>();
    for (const path of tracked) counts.set(folderOf(path), (counts.get(folderOf(path)) ?? 0) + 1);
    expect([...counts].filter(([, files]) => files > 30)).toEqual([]);
    expect(tracked.filter((path) => ["actors", "machines", "storage"].includes(folderOf(path)))).toEqual([
      "actors/index.ts",
      "machines/index.ts",
    ]);
  });

  test("no file of the product has more than 400 lines", () => {
    const lines = (path: string) => readFileSync(join(root, path), "utf8").split("\n").length - 1;
    expect([...read.keys()].filter((path) => lines(path) > 400).map((path) => `${path}: ${lines(path)}`)).toEqual([]);
  });

  test("machines read no clock, no randomness and no environment", () => {
    const wrong = filesIn("machines").flatMap((path) => {
      const { names } = readSource(path);
      return outside.filter((name) => names.has(name)).map((name) => `${path} uses ${name}`);
    });
    expect(wrong).toEqual([]);
  });

  test("only core/clock.ts sets timers of the system, which fire at once after a delay that is too long for them", () => {
    const isProduct = (path: string) => /^(?:core|machines|storage|transport|actors|fastify|prometheus)[./]/.test(path);
    const setsTimers = ({ names, variables, imports }: Source) =>
      ["setTimeout", "setInterval"].some((name) => variables.has(name) || names.has(`globalThis.${name}`)) ||
      names.has("AbortSignal.timeout") ||
      imports.some((target) => /^(?:node:)?timers\b/.test(target));
    const users = [...read].filter(([path, source]) => isProduct(path) && setsTimers(source));
    // Ticks only compare `setTimeout`, to notice a replaced one.
    expect(users.map(([path]) => path)).toEqual(["core/clock.ts", "storage/results/ticks.ts"]);
  });

  test("every file of the library is in a room with a rule", () => {
    const { include } = readSettings<{ readonly include: readonly string[] }>("tsconfig.build.json");
    const all = include.flatMap((pattern) => (pattern.includes("*") ? filesIn(pattern.slice(0, pattern.indexOf("/"))) : [pattern]));
    expect(all.filter((path) => !read.has(path))).toEqual([]);
  });

  test("zooid exports at most 60 names, and no two subpaths export the same thing", () => {
    const lists = readFileSync(join(root, "docs/reference/exports.md"), "utf8").split(/^## /m).slice(1);
    const counts = new Map(lists.map((text) => [text.split("\n", 1)[0], Number(/^(\d+) names/m.exec(text)?.[1])]));
    expect(counts.get("zooid")).toBeLessThanOrEqual(60);
    expect([...counts.keys()]).toEqual([
      "zooid",
      "zooid/server",
      "zooid/cache",
      "zooid/fastify",
      "zooid/prometheus",
      "zooid/machines",
      "zooid/actors",
      "zooid/testing",
      "zooid/testing/suites",
    ]);
    const names = lists.flatMap((text) => text.match(/`\w+`/g) ?? []);
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  });

  test.each(publicFiles())("everything exported by %s has a docstring", (path) => {
    expect(undocumentedExports(path)).toEqual([]);
  });

  test("no file outside of tests contains an absolute path of a developer's machine", () => {
    const pattern = /(?:^|[\s"'`(=:])(?:\/(?:home|root|work|tmp|Users)\/|[A-Z]:\\)/m;
    const wrong = trackedFiles()
      .filter((path) => !path.startsWith("test/") && !/\.(png|lock|tgz)$/.test(path))
      .filter((path) => pattern.test(readFileSync(join(root, path), "utf8")));
    expect(wrong).toEqual([]);
  });
});

function importsOf(path: string): readonly string[] {
  return read.get(path)?.imports ?? [];
}

function trackedFiles(): readonly string[] {
  const tracked = execFileSync("git", ["ls-files", "-z"], { cwd: root, encoding: "utf8" }).split("\0");
  return tracked.filter((path) => path !== "" && existsSync(join(root, path)));
}

function readSettings<Settings>(name: string): Settings {
  return JSON.parse(readFileSync(join(root, name), "utf8")) as Settings;
}
