import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { filesIn, root } from "../support/source.js";
import { texts } from "../support/documents.js";

interface Banned {
  readonly pattern: RegExp;
  readonly instead: string;
}

/** Phrases that a reader who is no native speaker reads twice. */
const banned: readonly Banned[] = [
  { pattern: /\b(?:told|tells?|telling)\b/i, instead: "notify, log, publish, return, report, distinguish" },
  { pattern: /\b(?:no|some|any|every)body\b/i, instead: "name the process, client, caller or node" },
  { pattern: /\b(?:who|whom|what|which)ever\b/i, instead: "any, every, or the cases themselves" },
  { pattern: /\b(?:those|ones?|all) who\b/i, instead: "a noun: clients that, callers that" },
  { pattern: /\bwho (?:asks?|reads?|waits?|calls?|writes?|gets?|does|did)\b/i, instead: "a noun: the client that asks" },
  {
    pattern:
      /\bwhat (?:is|was|are|were) (?:asked|above|below|given|held|kept|known|left|lost|met|missing|new|published|read|seen|sent|stored|there|written)\b/i,
    instead: "a noun: the objects that were read",
  },
  { pattern: /^\s*(?:\/\*\*|\*|\/\/) +(?:Of|What|Who|Whose|Whom|Which)\b(?![^.]*\?)/, instead: "begin a comment with its subject" },
];

/** In documents, a statement must not begin with "What"; a question may. */
const headlessStatement: Banned = { pattern: /(?:^|[.!] |^[-*] |^\d+\. |\*\* )What [^?]*$/, instead: "begin with the subject" };

const rooms = [
  ...["actors", "bench", "cli", "core", "examples", "fastify", "machines", "prometheus", "storage"],
  ...["test", "testing", "transport"],
];
const faces = ["index.ts", "server.ts", "cache.ts", "fastify.ts", "prometheus.ts"];

/** The phrases stand in this file. */
const self = "test/docs/plain-english.test.ts";
const commentLengthMax = 120;

function sources(): readonly string[] {
  const files = [...faces, ...rooms.flatMap(filesIn)];
  return files.filter((path) => path !== self && !path.includes("/node_modules/"));
}

function faultsOf(path: string, text: string, rules: readonly Banned[]): readonly string[] {
  return text.split("\n").flatMap((line, index) => {
    // A heading names its section: "What is kept" is a good one.
    if (/^#+ /.test(line)) return [];
    const faults = rules.map(({ pattern, instead }) => ({ found: pattern.exec(line)?.[0].trim().slice(-60), instead }));
    return faults.flatMap(({ found, instead }) =>
      found === undefined ? [] : [`${path}:${index + 1}: ${JSON.stringify(found)}; instead: ${instead}`],
    );
  });
}

describe("plain English", () => {
  test("documents have no banned phrase", () => {
    // Entries of the change log stay as they were written.
    const documents = [...texts()].filter(([path]) => path !== "CHANGELOG.md");
    const faults = documents.flatMap(([path, text]) => faultsOf(path, text, [...banned, headlessStatement]));
    expect(faults).toEqual([]);
  });

  test("sources have no banned phrase, in comments, texts and names", () => {
    const faults = sources().flatMap((path) => faultsOf(path, readFileSync(join(root, path), "utf8"), banned));
    expect(faults).toEqual([]);
  });

  test(`comment lines of sources have at most ${commentLengthMax} columns`, () => {
    const isLong = (line: string) => line.length > commentLengthMax && /^\s*(?:\/\*\*|\*|\/\/)/.test(line);
    const linesOf = (path: string) => readFileSync(join(root, path), "utf8").split("\n");
    const faults = sources().flatMap((path) => linesOf(path).flatMap((line, at) => (isLong(line) ? [`${path}:${at + 1}`] : [])));
    expect(faults).toEqual([]);
  });

  test.each([
    "  // Of its key it may have been told while nobody looked.",
    "  /** Keys of which is remembered what was met: their next write needs not look again. */",
    "What is numbered and was not told by now was superseded while this node was cut off.",
    " * Which one refused to register is not told: each is asked once so.",
    "  /** Replicas of the stream; 1 unless told. */",
    "- An error reaches all who waited.",
    "Whoever may publish can send it events.",
    "2. What the server has committed is on its disk.",
  ])("finds a fault in: %s", (line) => {
    expect(faultsOf("a.md", line, [...banned, headlessStatement])).not.toEqual([]);
  });

  test.each([
    "  // The key may have been invalidated after `shared.get` compared the entry. Check once more.",
    "## What is guaranteed",
    "- What happens after a restart? The client verifies its cache.",
    "Errors say which part is missing, and what starts it.",
  ])("finds none in: %s", (line) => {
    expect(faultsOf("a.md", line, [...banned, headlessStatement])).toEqual([]);
  });
});
