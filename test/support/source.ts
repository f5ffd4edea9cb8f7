import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseSync, Visitor } from "oxc-parser";

/** The project's folder. */
export const root = fileURLToPath(new URL("../..", import.meta.url));

/** One source file of the project, read by a parser. */
export interface Source {
  /** Relative to the project, with `/`. */
  readonly path: string;
  /** Everything it imports or re-exports, types too: a path in the project, or the name of a package. */
  readonly imports: readonly string[];
  /** All identifiers, also those of properties, and `object.property` for properties. */
  readonly names: ReadonlySet<string>;
  /** Identifiers that are not names of properties: variables and functions, the file's own and those of the system. */
  readonly variables: ReadonlySet<string>;
  /** All exports: declared in the file, or re-exported. */
  readonly exports: readonly Export[];
}

/** `from` is the file that a re-export comes from; `name` is undefined for `export *`. */
export interface Export {
  readonly name: string | undefined;
  readonly from: string | undefined;
  readonly hasDocstring: boolean;
}

/** Paths of the TypeScript files in a folder of the project, at any depth. Empty when the folder does not exist. */
export function filesIn(folder: string): readonly string[] {
  try {
    return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith(".ts") && !entry.name.endsWith(".d.ts"))
      .map((entry) => toPosix(relative(root, join(entry.parentPath, entry.name))))
      .toSorted();
  } catch {
    return [];
  }
}

/** Parses the file at `path`. Throws when it cannot be parsed. */
export function readSource(path: string): Source {
  const text = readFileSync(join(root, path), "utf8");
  const { program, module, comments, errors } = parseSync(path, text);
  if (errors.length > 0) throw new Error(`${path}: ${errors[0]?.message}`);
  const target = (request: string) =>
    request.startsWith(".") ? toPosix(relative(root, resolve(root, dirname(path), request))).replace(/\.js$/, ".ts") : request;

  const imports = module.staticImports.map((each) => target(each.moduleRequest.value));
  const names = new Set<string>();
  const identifiers: { readonly name: string; readonly start: number }[] = [];
  /** Where names of properties begin. */
  const properties = new Set<number>();
  const isNamed = ({ key, computed }: { readonly key: { readonly start: number }; readonly computed: boolean }) => {
    if (!computed) properties.add(key.start);
  };
  new Visitor({
    ImportExpression: ({ source }) => {
      if (source.type === "Literal" && typeof source.value === "string") imports.push(target(source.value));
    },
    TSImportType: ({ source }) => {
      imports.push(target(source.value));
    },
    Identifier: ({ name, start }) => {
      names.add(name);
      identifiers.push({ name, start });
    },
    Property: (node) => {
      if (!node.shorthand) isNamed(node);
    },
    MethodDefinition: isNamed,
    PropertyDefinition: isNamed,
    TSMethodSignature: isNamed,
    TSPropertySignature: isNamed,
    MemberExpression: (node) => {
      if (!node.computed) properties.add(node.property.start);
      if (node.object.type === "Identifier" && node.property.type === "Identifier") names.add(`${node.object.name}.${node.property.name}`);
    },
  }).visit(program);

  const docEnds = comments.filter((comment) => comment.type === "Block" && comment.value.startsWith("*")).map((comment) => comment.end);
  const isDocumented = (start: number) => docEnds.some((end) => end <= start && text.slice(end, start).trim() === "");
  const declarations = new Map<string, number>();
  for (const node of program.body) {
    const declaration = node.type === "ExportNamedDeclaration" ? (node.declaration ?? undefined) : node;
    for (const name of declaredNames(declaration)) declarations.set(name, Math.min(declarations.get(name) ?? Infinity, node.start));
  }
  const exports = module.staticExports.flatMap((statement) =>
    statement.entries.map((entry): Export => {
      const from = entry.moduleRequest === null ? undefined : target(entry.moduleRequest.value);
      if (from !== undefined) imports.push(from);
      const local = entry.localName.name ?? entry.importName.name ?? undefined;
      return {
        name: from === undefined ? (entry.exportName.name ?? "default") : (entry.importName.name ?? undefined),
        from,
        hasDocstring:
          from !== undefined || isDocumented(local === undefined ? statement.start : (declarations.get(local) ?? statement.start)),
      };
    }),
  );
  const variables = new Set(identifiers.filter(({ start }) => !properties.has(start)).map(({ name }) => name));
  return { path, imports: [...new Set(imports)], names, variables, exports };
}

/** All exports of the file at `path`, re-exports included, that have no docstring, as `file: name`. */
export function undocumentedExports(path: string, only?: ReadonlySet<string>): readonly string[] {
  return readSource(path).exports.flatMap(({ name, from, hasDocstring }) => {
    if (only !== undefined && name !== undefined && !only.has(name)) return [];
    if (from === undefined) return hasDocstring ? [] : [`${path}: ${name}`];
    if (!from.endsWith(".ts")) return [];
    return undocumentedExports(from, name === undefined ? only : new Set([name]));
  });
}

interface Declaration {
  readonly id?: { readonly name?: string } | null;
  readonly declarations?: readonly { readonly id: { readonly name?: string } }[];
}

// The parser has two dozen kinds of statement. Those that declare something have one of these two shapes.
function declaredNames(statement: object | undefined): readonly string[] {
  const declaration: Declaration | undefined = statement;
  const ids = declaration?.declarations?.map((each) => each.id) ?? [declaration?.id];
  return ids.map((id) => id?.name).filter((name) => name !== undefined);
}

function toPosix(path: string): string {
  return path.replaceAll("\\", posix.sep);
}
