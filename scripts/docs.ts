// Writes the parts of README and docs that are generated from the code, and their pictures: npm run docs. A test checks
// that they are current.

import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { PassThrough } from "node:stream";
import { pathToFileURL } from "node:url";
import { parseSync } from "oxc-parser";
import { Registry } from "prom-client";
import { createCache } from "../cache.js";
import { Output } from "../cli/output.js";
import { createProgram } from "../cli/program.js";
import { createExample } from "../examples/cities/program.js";
import { createOrders } from "../examples/orders/program.js";
import { machines } from "../machines/index.js";
import { cacheMetrics } from "../prometheus.js";
import { errorClasses, type ErrorName } from "../core/errors.js";
import { limits } from "../core/limits.js";
import { pathOfPicture, writePictures } from "./pictures.js";
import { configureOptions, type Counterpart, features } from "./zoocache.js";

const root = join(import.meta.dirname, "..");

/** Paths of the documents, relative to the project: README, the changelog, and everything in docs. */
export function documents(): readonly string[] {
  const inDocs = readdirSync(join(root, "docs"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".md"))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).replaceAll("\\", "/"));
  return ["README.md", "CHANGELOG.md", ...inDocs.toSorted()];
}

/**
 * The texts of the documents, with each part between `<!-- name -->` and `<!-- /name -->` generated from the code.
 * Prettier ignores the parts, so that it does not pad the cells of tables with spaces. Throws when no document has a
 * place for a part.
 */
export async function withGeneratedParts(texts: ReadonlyMap<string, string>): Promise<ReadonlyMap<string, string>> {
  const filled = new Map(texts);
  for (const [name, part] of [...generatedParts(), ["metrics", await metricTable()] as const]) {
    const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
    const [path, text] = [...filled].find(([, each]) => each.includes(`\n${begin}\n`)) ?? [];
    if (path === undefined || text === undefined) throw new Error(`no document has a place for ${name}: ${begin} ${end}`);
    const [from, to] = [text.indexOf(begin) + begin.length, text.indexOf(end)];
    if (to < from) throw new Error(`${path}: ${begin} has no ${end} after it`);
    const ignored = `<!-- prettier-ignore-start -->\n\n${part.trim()}\n\n<!-- prettier-ignore-end -->`;
    filled.set(path, `${text.slice(0, from)}\n\n${ignored}\n\n${text.slice(to)}`);
  }
  return filled;
}

/** The documents on disk. */
export function readDocuments(): ReadonlyMap<string, string> {
  return new Map(documents().map((path) => [path, readFileSync(join(root, path), "utf8")]));
}

function generatedParts(): Map<string, string> {
  return new Map([
    ["machines", machinePictures()],
    ["exports", exportLists()],
    ["errors", errorTable()],
    ["options", optionTable(connectOptions)],
    ["server options", optionTable([["actors/server/options.ts", "StorageServerOptions"], seams])],
    ["storage options", optionTable([["actors/server/options.ts", "StorageOptions"]])],
    ["read options", optionTable([["actors/client/interface.ts", "ReadOptions"]])],
    ["transact options", optionTable([["actors/client/interface.ts", "TransactOptions"]])],
    ["cache options", optionTable([["actors/cache/urls.ts", "BusOptions"], ["actors/cache/options.ts", "CacheOptions"], seams])],
    ["cacheable options", optionTable([["actors/cache/cacheable-options.ts", "CacheableOptions"]])],
    ["route options", optionTable([["fastify/route-rules.ts", "RouteCaching"]])],
    ["zoocache", zoocacheTables()],
    ["variables", variableTable()],
    ["limits", limitTable()],
  ]);
}

/** Each metric of a cache, as a registry lists it. */
async function metricTable(): Promise<string> {
  const register = new Registry();
  await using cache = await createCache();
  const end = cacheMetrics(cache, { register });
  const rows = (await register.getMetricsAsJSON()).map(({ name, type, help }) => `| \`${name}\` | ${String(type)} | ${help} |`);
  end();
  return ["| metric | type | meaning |", "| --- | --- | --- |", ...rows].join("\n");
}

/** Exports of each subpath of the package: first values, then types. */
function exportLists(): string {
  const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    readonly exports: Readonly<Record<string, string | { readonly types: string }>>;
  };
  const sections = Object.entries(exports).flatMap(([subpath, target]) => {
    if (typeof target === "string") return [];
    const path = target.types.replace("./dist/", "").replace(/\.d\.ts$/, ".ts");
    const names = exportedNames(path);
    const list = (isType: boolean) =>
      [...names]
        .filter(([, each]) => each === isType)
        .map(([name]) => `\`${name}\``)
        .toSorted()
        .join(", ") || "none";
    const title = subpath.replace(/^\./, "zooid");
    return [`## ${title}\n\n${names.size} names.\n\nValues: ${list(false)}.\n\nTypes: ${list(true)}.`];
  });
  return sections.join("\n\n");
}

/** Names that the file at `path` exports or re-exports; true: a type. */
function exportedNames(path: string): ReadonlyMap<string, boolean> {
  const { program, module } = parseSync(path, readFileSync(join(root, path), "utf8"));
  const declared = new Map<string, boolean>();
  for (const node of program.body) {
    const declaration = node.type === "ExportNamedDeclaration" ? node.declaration : undefined;
    if (declaration?.type === "TSInterfaceDeclaration" || declaration?.type === "TSTypeAliasDeclaration")
      declared.set(declaration.id.name, true);
  }
  const found = new Map<string, boolean>();
  for (const { entries } of module.staticExports) {
    for (const { exportName, importName, moduleRequest, isType } of entries) {
      const from = moduleRequest?.value;
      const inner = from === undefined ? undefined : exportedNames(join(dirname(path), from).replace(/\.js$/, ".ts"));
      if (exportName.name !== null) {
        const isTypeThere = inner?.get(importName.name ?? exportName.name) ?? declared.get(exportName.name) ?? false;
        found.set(exportName.name, isType || isTypeThere);
      } else for (const [name, isTypeThere] of inner ?? []) found.set(name, isType || isTypeThere);
    }
  }
  return found;
}

/** Each machine: the first paragraph of its file, and its picture. */
function machinePictures(): string {
  const sections = Object.keys(machines).map((name) => {
    const picture = pathOfPicture(name).replace("docs/reference/", "");
    const file =
      ["client", "server", "cache", "system"].map((part) => `machines/${part}/${name}.ts`).find((path) => existsSync(join(root, path))) ??
      "";
    const [docblock = ""] = /^\/\*\*[^]*?\*\//.exec(readFileSync(join(root, file), "utf8")) ?? [];
    const [paragraph = ""] = docblock.split(/\n \*\n/);
    const text = paragraph
      .replaceAll(/^\/?[ *]+/gm, "")
      .replaceAll(/\s+/g, " ")
      .trim();
    return `## ${name}\n\n${text} ([${file}](../../${file}))\n\n[![States of ${name}](${picture})](${picture})`;
  });
  return sections.join("\n\n");
}

/**
 * Each error, by subject: its permanent code, whether another try may succeed, its facts, and the docstring of its
 * class.
 */
function errorTable(): string {
  const { program } = parse("core/errors.ts");
  const files = program.body.flatMap((node) => (node.type === "ExportAllDeclaration" ? [node.source.value] : []));
  const rows = files.flatMap((file) => {
    const { program, docstringBefore } = parse(`core/${file.slice(2).replace(/\.js$/, ".ts")}`);
    return program.body.flatMap((node) => {
      const declaration = node.type === "ExportNamedDeclaration" ? node.declaration : undefined;
      if (declaration?.type !== "ClassDeclaration" || declaration.id === null) return [];
      const { name } = declaration.id;
      const { code, transient, factTypes } = errorClasses[name as ErrorName];
      const facts = Object.entries(factTypes).map(([fact, type]) => `\`${fact}\`${type.endsWith("?") ? " (not always)" : ""}`);
      return [`| \`${code}\` | \`${name}\` | ${transient ? "yes" : "no"} | ${facts.join(", ")} | ${docstringBefore(node.start)} |`];
    });
  });
  return ["| code | class | transient | facts | when |", "| --- | --- | --- | --- | --- |", ...rows].join("\n");
}

/** Declaration of the options for time, randomness and log. */
const seams = ["core/options.ts", "SeamOptions"] as const;

/** Declarations of the options of `connect`: all options of an interface, or the named ones. */
const connectOptions: readonly (readonly [file: string, declaration: string, names?: readonly string[]])[] = [
  ["transport/nats/options.ts", "NatsOptions", ["servers"]],
  ["actors/client/connect.ts", "ConnectOptions"],
  ["actors/client/options.ts", "ClientOptions"],
  ["transport/nats/dial.ts", "NatsDialOptions", ["user", "password", "token", "tls", "resolve"]],
  ["transport/nats/options.ts", "NatsOptions", ["inboxPrefix"]],
];

/**
 * Each option with its docstring and its default: a bound of that name, or the last sentence of the docstring. An
 * option without a docstring shares that of the option before it.
 */
function optionTable(declarations: typeof connectOptions): string {
  const rows = declarations.flatMap(([file, declaration, names]) => {
    const { program, docstringBefore } = parse(file);
    const members = program.body.flatMap((node) => {
      const found = node.type === "ExportNamedDeclaration" ? node.declaration : undefined;
      return found?.type === "TSInterfaceDeclaration" && found.id.name === declaration ? found.body.body : [];
    });
    return members.flatMap((member) => {
      if (member.type !== "TSPropertySignature" || member.key.type !== "Identifier") return [];
      const { name } = member.key;
      if (names !== undefined && !names.includes(name)) return [];
      const bound = (limits as Readonly<Record<string, number>>)[name];
      const [meaning = "", standard = ""] = docstringBefore(member.start).split(/ ?Default: (?=[^.]*\.$)/);
      if (bound === undefined || standard !== "") return [`| \`${name}\` | ${standard.replace(/\.$/, "")} | ${meaning} |`];
      return [`| \`${name}\` | ${shown(name, bound)} | ${boundReasons().get(name) ?? ""} |`];
    });
  });
  if (rows.length === 0) throw new Error(`there are no options: ${declarations.flat().join(", ")}`);
  return ["| option | default | meaning |", "| --- | --- | --- |", ...rows].join("\n");
}

/** Options and features of ZooCache, and their counterparts here. */
function zoocacheTables(): string {
  const names = (ours: readonly string[]) => (ours.length === 0 ? "none" : ours.map((name) => `\`${name}\``).join(", "));
  const row = ({ theirs, theirDefault, ours, difference = "" }: Counterpart) =>
    theirDefault === undefined
      ? `| ${theirs} | ${names(ours)} | ${difference} |`
      : `| \`${theirs}\` | ${theirDefault} | ${names(ours)} | ${difference} |`;
  return [
    "| option of ZooCache | default | ours | difference |",
    "| --- | --- | --- | --- |",
    ...configureOptions.map(row),
    "",
    "| of ZooCache | ours | difference |",
    "| --- | --- | --- |",
    ...features.map(row),
  ].join("\n");
}

/** Each variable of the command line with its flag, the commands that take it, and their description of it. */
function variableTable(): string {
  const rows = new Map<string, { readonly flags: string; readonly commands: string[]; readonly description: string }>();
  const surroundings = {
    out: new Output(new PassThrough(), () => undefined),
    say: () => undefined,
    signal: new AbortController().signal,
  };
  const programs = [
    ...createProgram(surroundings).commands.map((command) => ({ name: command.name(), command })),
    { name: "npm start", command: createExample(surroundings) },
    { name: "npm run orders", command: createOrders(surroundings) },
  ];
  for (const { name, command } of programs) {
    for (const { envVar, flags, description: text } of [command, ...command.commands].flatMap(({ options }) => options)) {
      // A switch names its variable in its description, since commander would take "false" for true.
      const variable = envVar ?? /\(env: (\w+)\)/.exec(text)?.[1];
      const description = text.replace(/ *\(env: \w+\)/, "");
      if (variable === undefined) continue;
      const known = rows.get(`${variable} ${flags}`);
      if (known === undefined) rows.set(`${variable} ${flags}`, { flags, commands: [name], description });
      else if (!known.commands.includes(name)) known.commands.push(name);
    }
  }
  const cells = [...rows]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([row, { flags, commands, description }]) => {
      const [variable = ""] = row.split(" ");
      const others = programs.map(({ name }) => name).filter((each) => !commands.includes(each));
      const who = others.length === 0 ? "all" : others.length < commands.length ? `all but ${others.join(", ")}` : commands.join(", ");
      return `| \`${variable}\` | \`${flags.replaceAll("|", "\\|")}\` | ${who} | ${description} |`;
    });
  return ["| variable | flag | commands | meaning |", "| --- | --- | --- | --- |", ...cells].join("\n");
}

/** A bound as people read it: `16 MiB`; `30,000 (30 s)` for milliseconds; `1,000`. */
function shown(name: string, bound: number): string {
  const number = bound.toLocaleString("en");
  const isTime = /Ms(?:Max|Min)?$/.test(name) && bound >= 10_000;
  if (!isTime && !name.includes("Bytes")) return number;
  const [unit, size] = (isTime ? durations : sizes).find(([, each]) => bound % each === 0) ?? [];
  if (size === undefined) return number;
  const inUnit = `${(bound / size).toLocaleString("en")} ${unit}`;
  return isTime ? `${number} (${inUnit})` : inUnit;
}

const durations = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
  ["s", 1_000],
] as const;

const sizes = [
  ["GiB", 1_024 ** 3],
  ["MiB", 1_024 ** 2],
  ["KiB", 1_024],
] as const;

interface Bound {
  readonly name: string;
  /** The bound as people read it. */
  readonly value: string;
  readonly reason: string;
}

/** The bounds of core/limits.ts, in order; also those of the files that it spreads. */
function bounds(path = "core/limits.ts"): readonly Bound[] {
  const { program, docstringBefore } = parse(path);
  const fileOf = (name: string): string => {
    const found = program.body.find(
      (node) => node.type === "ImportDeclaration" && node.specifiers.some(({ local }) => local.name === name),
    );
    if (found?.type !== "ImportDeclaration") throw new Error(`${path} does not import ${name}`);
    return join(dirname(path), found.source.value.replace(/\.js$/, ".ts"));
  };
  return program.body.flatMap((node) => {
    const declaration = node.type === "ExportNamedDeclaration" ? node.declaration : undefined;
    if (declaration?.type !== "VariableDeclaration") return [];
    const value = declaration.declarations[0]?.init;
    const object = value?.type === "TSAsExpression" ? value.expression : value;
    if (object?.type !== "ObjectExpression") return [];
    return object.properties.flatMap((property) => {
      if (property.type === "SpreadElement") return property.argument.type === "Identifier" ? bounds(fileOf(property.argument.name)) : [];
      if (property.type !== "Property" || property.key.type !== "Identifier") return [];
      const { name } = property.key;
      const bound = (limits as Readonly<Record<string, number>>)[name];
      if (bound === undefined) throw new Error(`limits has no ${name}`);
      return [{ name, value: shown(name, bound), reason: docstringBefore(property.start) }];
    });
  });
}

function boundReasons(): ReadonlyMap<string, string> {
  return new Map(bounds().map(({ name, reason }) => [name, reason]));
}

/**
 * Each bound with its default, and the reason above it; a bound without a comment shares the reason of the bound before
 * it.
 */
function limitTable(): string {
  const rows = bounds().map(({ name, value, reason }) => `| \`${name}\` | ${value} | ${reason} |`);
  return ["| bound | default | why |", "| --- | --- | --- |", ...rows].join("\n");
}

function parse(path: string) {
  const text = readFileSync(join(root, path), "utf8");
  const { program, comments } = parseSync(path, text);
  const docstringBefore = (start: number): string => {
    const comment = comments.find(({ end }) => end <= start && text.slice(end, start).trim() === "");
    return (comment?.value ?? "")
      .replaceAll(/^\s*\*+ ?/gm, "")
      .replaceAll(/\s+/g, " ")
      .replaceAll("|", "\\|")
      .trim();
  };
  return { program, text, docstringBefore };
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const before = readDocuments();
  for (const [path, text] of await withGeneratedParts(before)) if (text !== before.get(path)) writeFileSync(join(root, path), text);
  await writePictures();
}
