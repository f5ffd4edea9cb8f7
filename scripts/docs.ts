// Writes the parts of README that are generated from the code: npm run docs. A test holds that they are current.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseSync } from "oxc-parser";
import { format } from "prettier";
import { machineToMermaid } from "../actors/drawing.js";
import { machines } from "../machines/index.js";
import { errorClasses } from "../words/errors.js";

const root = join(import.meta.dirname, "..");

/** `readme` with every part between `<!-- name -->` and `<!-- /name -->` as the code has it. Throws when a part has no place in it. */
export async function withGeneratedParts(readme: string): Promise<string> {
  let text = readme;
  for (const [name, part] of generatedParts()) {
    const begin = `<!-- ${name} -->`;
    const end = `<!-- /${name} -->`;
    const from = text.indexOf(begin);
    const to = text.indexOf(end);
    if (from === -1 || to < from) throw new Error(`README has no place for ${name}: ${begin} ${end}`);
    text = `${text.slice(0, from + begin.length)}\n\n${part.trim()}\n\n${text.slice(to)}`;
  }
  return format(text, { parser: "markdown", printWidth: 140 });
}

function generatedParts(): Map<string, string> {
  return new Map([
    ["machines", machinePictures()],
    ["errors", errorTable()],
    ["limits", limitTable()],
  ]);
}

/** Each machine: what the first paragraph of its file says of it, and its picture. */
function machinePictures(): string {
  const sections = Object.entries(machines).map(([name, machine]) => {
    const file = `machines/${name}.ts`;
    const [docblock = ""] = /^\/\*\*[^]*?\*\//.exec(readFileSync(join(root, file), "utf8")) ?? [];
    const [paragraph = ""] = docblock.split(/\n \*\n/);
    const text = paragraph
      .replaceAll(/^\/?[ *]+/gm, "")
      .replaceAll(/\s+/g, " ")
      .trim();
    return `### ${name}\n\n${text} ([${file}](${file}))\n\n\`\`\`mermaid\n${machineToMermaid(machine)}\`\`\``;
  });
  return sections.join("\n\n");
}

/** Each error with its permanent code, whether another try may succeed, and the docstring of its class. */
function errorTable(): string {
  const { program, docstringBefore } = parse("words/errors.ts");
  const classes = new Map(
    program.body.flatMap((node) => {
      const declaration = node.type === "ExportNamedDeclaration" ? node.declaration : undefined;
      if (declaration?.type !== "ClassDeclaration" || declaration.id === null) return [];
      const fields = new Map<string, unknown>();
      for (const member of declaration.body.body) {
        if (member.type === "PropertyDefinition" && member.key.type === "Identifier" && member.value?.type === "Literal") {
          fields.set(member.key.name, member.value.value);
        }
      }
      return [[declaration.id.name, { fields, docstring: docstringBefore(node.start) }] as const];
    }),
  );
  const rows = Object.keys(errorClasses).map((name) => {
    const known = classes.get(name);
    if (known === undefined) throw new Error(`words/errors.ts has no class ${name}`);
    return `| \`${String(known.fields.get("code"))}\` | \`${name}\` | ${known.fields.get("transient") === true ? "yes" : "no"} | ${known.docstring} |`;
  });
  return ["| code | class | transient | when |", "| --- | --- | --- | --- |", ...rows].join("\n");
}

/** Each bound with its default and the reason that stands above it; one without a comment shares that of the one before. */
function limitTable(): string {
  const { program, docstringBefore, text } = parse("words/limits.ts");
  const rows = program.body.flatMap((node) => {
    const declaration = node.type === "ExportNamedDeclaration" ? node.declaration : undefined;
    if (declaration?.type !== "VariableDeclaration") return [];
    const value = declaration.declarations[0]?.init;
    const object = value?.type === "TSAsExpression" ? value.expression : value;
    if (object?.type !== "ObjectExpression") return [];
    return object.properties.flatMap((property) => {
      if (property.type !== "Property" || property.key.type !== "Identifier") return [];
      const written = text.slice(property.value.start, property.value.end);
      return [
        `| \`${property.key.name}\` | ${written.replaceAll("_", ",").replaceAll("**", "^").replaceAll("*", "×")} | ${docstringBefore(property.start)} |`,
      ];
    });
  });
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
  const path = join(root, "README.md");
  writeFileSync(path, await withGeneratedParts(readFileSync(path, "utf8")));
}
