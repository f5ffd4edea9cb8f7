import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { texts } from "../support/documents.js";
import { filesIn, root } from "../support/source.js";

const value = String.raw`\$\{(?:[^{}\x60]|\x60[^\x60]*\x60)*\}`;
const level = String.raw`(?:[A-Za-z_][\w.]*|${value})`;
/** A template, or its part after a space or a quote, that begins like a tag and has a value as one of its levels. */
const rawTag = new RegExp(String.raw`(?<!\btag)\x60(?:[^\x60]*[\s"'=])?((?:${level}:)+${value})`, "g");

/** Texts with a colon before a value that are no tags. */
const otherTexts = /^(?:localhost|lmdb):\$\{[^{}]*\}$/;

/** Tags that are plain templates: a value that is no level, such as `new-york`, makes the template an invalid tag. */
function rawTagsOf(text: string): readonly string[] {
  return [...text.matchAll(rawTag)].map(([, found = ""]) => found).filter((found) => !otherTexts.test(found) && !hasOnlyLevels(found));
}

function hasOnlyLevels(template: string): boolean {
  return [...template.matchAll(/\$\{/g)].every(({ index }) => template.startsWith("${tagLevel(", index));
}

test("each tag with a value in it is written with `tag`, in all documents and in the sources of the examples", () => {
  const sources = [...filesIn("examples"), "index.ts", "cache.ts", "fastify.ts", "prometheus.ts", "server.ts"];
  // Entries of the change log stay as they were written.
  const documents = [...texts()].filter(([path]) => path !== "CHANGELOG.md");
  const all = [...documents, ...sources.map((path) => [path, readFileSync(join(root, path), "utf8")] as const)];
  expect(all.length).toBeGreaterThan(30);
  expect(all.flatMap(([path, text]) => rawTagsOf(text).map((found) => `${path}: ${found}`))).toEqual([]);
});

test.each([
  "deps: (id) => `cities:${id}`",
  "addDeps(`cities:${params.id}`);",
  "invalidate(`cities:de:${id}:districts`)",
  "tags: [`${kind}:${id}`]",
  "zooid(`cache invalidate figures:${countryOf(key)}`)",
  "deps: (id) => [tag`a:${id}`, `b:${id}`]",
])("finds a tag without `tag` in: %s", (text) => {
  expect(rawTagsOf(text)).not.toEqual([]);
});

test.each([
  "deps: (id) => tag`cities:${id}`",
  "zooid(`cache invalidate ${tag`figures:${countryOf(key)}`}`)",
  "createCache({ storageUrl: `lmdb:${folder}` })",
  "[`127.0.0.1:${port}`, `localhost:${port}`]",
  "throw new Error(`the id is wrong: ${id}`)",
  "tags: [`cities:${tagLevel(id)}`]",
])("finds none in: %s", (text) => {
  expect(rawTagsOf(text)).toEqual([]);
});
