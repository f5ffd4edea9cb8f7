import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { filesIn, readSource, root, undocumentedExports } from "./source.js";

/** What each room may import beside itself: rooms (all of them), single files, and, where they are few, packages. */
const rules: Record<string, { readonly ours: readonly string[]; readonly packages?: readonly string[] }> = {
  words: { ours: [] },
  machines: { ours: [], packages: ["xstate"] },
  storage: { ours: ["words/"] },
  transport: { ours: ["words/"] },
  actors: { ours: ["machines/", "storage/", "transport/", "words/"] },
  web: { ours: ["cache.ts", "words/"], packages: ["fastify", "node:crypto"] },
  testing: { ours: ["words/", "transport/", "storage/", "machines/", "actors/"] },
  // It runs the example services inside its own process, by the function that they offer.
  // Folders are made as the storage makes its own.
  cli: {
    ours: [
      "index.ts",
      "cache.ts",
      "machines/index.ts",
      "actors/index.ts",
      "transport/index.ts",
      "storage/make-folder.ts",
      "examples/city-service.ts",
    ],
  },
  examples: { ours: ["index.ts", "cache.ts", "machines/index.ts", "actors/index.ts", "transport/index.ts"] },
  // It measures single parts too, and nobody imports it.
  bench: { ours: ["index.ts", "cache.ts", "words/", "storage/", "transport/", "machines/", "actors/", "testing/"] },
};

/** Names that read a clock, chance or the environment, or do something outside of a machine. */
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

const publicFiles = [
  "index.ts",
  "cache.ts",
  "fastify.ts",
  "metrics.ts",
  "machines/index.ts",
  "actors/index.ts",
  "transport/index.ts",
  "testing/index.ts",
];

describe("rooms", () => {
  test.each(Object.keys(rules))("%s imports only what stands before it", (room) => {
    const { ours, packages } = rules[room] ?? { ours: [] };
    const isAllowed = (target: string) => {
      if (target.endsWith(".ts")) return [`${room}/`, ...ours].some((allowed) => target === allowed || target.startsWith(allowed));
      return packages === undefined || packages.includes(target);
    };
    const wrong = filesIn(room).flatMap((path) =>
      readSource(path)
        .imports.filter((target) => !isAllowed(target))
        .map((target) => `${path} imports ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  test("machines read no clock, no chance and no environment", () => {
    const wrong = filesIn("machines").flatMap((path) => {
      const { names } = readSource(path);
      return outside.filter((name) => names.has(name)).map((name) => `${path} uses ${name}`);
    });
    expect(wrong).toEqual([]);
  });

  test("every file of the library is in a room with a rule", () => {
    const folders = readSettings("tsconfig.build.json").include.map((pattern) => pattern.split("/")[0]);
    expect(folders.filter((folder) => !publicFiles.includes(String(folder)) && !(String(folder) in rules))).toEqual([]);
  });

  test.each(publicFiles)("everything exported by %s has a docstring", (path) => {
    expect(undocumentedExports(path)).toEqual([]);
  });

  test("no file outside of tests names a path of somebody's machine", () => {
    const pattern = /(?:^|[\s"'`(=:])(?:\/(?:home|root|work|tmp|Users)\/|[A-Z]:\\)/m;
    const tracked = execFileSync("git", ["ls-files", "-z"], { cwd: root, encoding: "utf8" }).split("\0");
    const wrong = tracked
      .filter((path) => path !== "" && !path.startsWith("test/") && !/\.(png|lock|tgz)$/.test(path) && existsSync(join(root, path)))
      .filter((path) => pattern.test(readFileSync(join(root, path), "utf8")));
    expect(wrong).toEqual([]);
  });
});

function readSettings(name: string): { readonly include: readonly string[] } {
  return JSON.parse(readFileSync(join(root, name), "utf8")) as { readonly include: readonly string[] };
}
