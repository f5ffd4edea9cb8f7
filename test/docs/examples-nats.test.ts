import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startStorageServer } from "../../server.js";
import { silentLog, systemRandom, systemClock } from "../../core/index.js";
import { openMemoryStore } from "../../testing/index.js";
import { connectNats } from "../../transport/index.js";
import { built } from "../support/built.js";
import { type Example, examples, texts } from "../support/documents.js";
import { jetStreamConfig } from "../support/nats-buses.js";
import { type NatsServer, startNatsServer } from "../support/nats-server.js";
import { root } from "../support/source.js";

const run = promisify(execFile);
const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
const all = examples();

/** Packages that examples import beside Zooid. */
const packages = ["@statelyai/inspect", "@types/node", "@types/express", "express", "fastify", "prom-client", "xstate", "zod"];

const nameOf = ({ document, line }: Example) => `${document}:${line}`;

/** A project as `tsc --init` makes it, with the packages installed. All examples share one broker. */
let folder: string;
let nats: NatsServer;

beforeAll(async () => {
  await run(process.execPath, [join(root, "scripts", "set-up.mjs")], { cwd: root });
  folder = mkdtempSync(join(tmpdir(), "zooid-examples-"));
  mkdirSync(join(folder, "node_modules", "@types"), { recursive: true });
  symlinkSync(root, join(folder, "node_modules", "zooid"));
  mkdirSync(join(folder, "node_modules", "@statelyai"));
  for (const name of packages) symlinkSync(join(root, "node_modules", name), join(folder, "node_modules", name));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  await run(process.execPath, [tsc, "--init"], { cwd: folder });
  nats = await startNatsServer({ config: jetStreamConfig() });
  for (const example of all) {
    const program = example.program.replaceAll("127.0.0.1:4222", `127.0.0.1:${nats.port}`);
    mkdirSync(dirname(pathOf(example)), { recursive: true });
    writeFileSync(`${pathOf(example)}.ts`, program);
    // Plain JavaScript runs as it stands in the document, TypeScript as the compiler emits it.
    if (example.language === "js") writeFileSync(`${pathOf(example)}.mjs`, program);
  }
}, 120_000);

afterAll(async () => {
  await nats?.stop();
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

test("every example is correct TypeScript in a project made by tsc --init", async () => {
  const checked = await run(process.execPath, [tsc, "-p", "."], { cwd: folder }).catch((error: { stdout?: string }) => error);
  expect(checked.stdout).toBe("");
});

test("the way for NestJS is correct TypeScript with experimentalDecorators, too", async () => {
  const nest = all.find(({ program }) => program.includes("class Cities"));
  if (nest === undefined) throw new Error("no example has a class with a cached method");
  const checked = join(dirname(pathOf(nest)), "tsconfig.nest.json");
  const compilerOptions = { experimentalDecorators: true, emitDecoratorMetadata: true, noEmit: true };
  writeFileSync(checked, JSON.stringify({ extends: join(folder, "tsconfig.json"), compilerOptions, files: [`${pathOf(nest)}.ts`] }));
  const { stdout } = await run(process.execPath, [tsc, "-p", checked], { cwd: folder }).catch((error: { stdout?: string }) => error);
  expect(stdout).toBe("");
});

test("every example prints something, or says why it is not run", () => {
  const silent = all.filter(({ prints, file, notRun, program }) => (prints ?? file ?? notRun) === undefined && !isTest(program));
  expect(silent.map(nameOf)).toEqual([]);
});

test("an example that needs a broker says so in its first line", () => {
  const wrong = all.filter(({ program }) => program.includes(":4222") && !/^\/\/ Needs .*\n|busUrl: "nats.* for several/.test(program));
  expect(wrong.map(nameOf)).toEqual([]);
});

test("every example that is a test passes", async () => {
  const imports = all.filter(({ program }) => isTest(program)).map((example) => `import ${JSON.stringify(programOf(example))};\n`);
  const file = join(folder, "tests.mjs");
  writeFileSync(file, imports.join(""));
  const { stdout } = await run(process.execPath, [file], { timeout: 60_000 });
  expect(stdout).toMatch(new RegExp(`pass ${imports.length}\n`));
}, 60_000);

describe("printed as the document says", () => {
  const printing = all.filter(({ prints }) => prints !== undefined);
  test.each(printing.map((example) => [nameOf(example), example] as const))("%s", async (_name, example) => {
    const setup = await serve(example);
    const cwd = mkdtempSync(join(folder, "in-"));
    const beside = example.beside === undefined ? undefined : await startBeside(example);
    try {
      const { stdout } = await run(process.execPath, [programOf(example)], { cwd, timeout: 30_000 });
      expect(stdout).toBe(example.prints);
    } finally {
      await beside?.stop();
      await setup.close();
    }
  });
});

test("README shows the drawing of a running machine as the command above it draws it", async () => {
  const [, words = "", picture = ""] =
    /^```sh\nnpx zooid (machines .*)\n```\n\n!\[[^\]]*\]\((.*)\)$/m.exec(texts().get("README.md") ?? "") ?? [];
  const payment = all.find(({ document, beside }) => document === "README.md" && beside !== undefined);
  if (payment === undefined) throw new Error("README has no program that pays");
  const order = await startBeside(payment);
  try {
    await run(process.execPath, [programOf(payment)], { timeout: 30_000 });
    await run(process.execPath, [built("cli/zooid.js"), ...words.split(" "), "--servers", nats.url], { cwd: folder });
    expect(readFileSync(join(folder, "order.svg"), "utf8")).toBe(readFileSync(join(root, picture), "utf8"));
  } finally {
    await order.stop();
  }
});

function isTest(program: string): boolean {
  return program.includes('from "node:test"');
}

/**
 * Path of an example's file, without extension. Examples of the same document lie together, so that they can import
 * each other.
 */
function pathOf({ document, line, file }: Example): string {
  return join(folder, document.replaceAll(/\W+/g, "-"), file?.replace(/\.\w+$/, "") ?? `line-${line}`);
}

function programOf(example: Example): string {
  return `${pathOf(example)}.${example.language === "js" ? "mjs" : "js"}`;
}

/** Starts the program that an example needs beside it; resolves when that has printed its first line. */
async function startBeside({ document, beside }: Example): Promise<{ readonly stop: () => Promise<void> }> {
  const other = all.find((each) => each.document === document && each.file === beside);
  if (other === undefined) throw new Error(`${document} has no file ${String(beside)}`);
  const child = spawn(process.execPath, [programOf(other)], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "exit");
  await Promise.race([once(createInterface(child.stdout), "line"), ended]);
  const stop = async () => {
    child.kill();
    await ended;
  };
  return { stop };
}

/** Starts the storage server that an example says it needs, empty. */
async function serve({ program }: Example): Promise<{ readonly close: () => Promise<void> }> {
  if (!/^\/\/ Needs .*zooid serve/.test(program)) return { close: async () => undefined };
  const seams = { clock: systemClock, random: systemRandom, log: silentLog };
  const transport = await connectNats({ servers: nats.url, ...seams });
  const storages = { main: { open: () => openMemoryStore() }, archive: { open: () => openMemoryStore() } };
  const server = await startStorageServer({ realm: "zooid", storages, transport, ...seams });
  const close = async () => {
    await server.close();
    await transport.close();
  };
  return { close };
}
