import { documents, readDocuments } from "../../scripts/docs.js";

/** A code block of a document. */
export interface Example {
  /** Path of the document, and the line at which the block begins. */
  readonly document: string;
  readonly line: number;
  readonly language: "ts" | "js";
  readonly program: string;
  /** The text block after "It prints:". */
  readonly prints: string | undefined;
  /** File name under which other blocks import it: `<!-- file: order.mjs -->` stands before it. */
  readonly file: string | undefined;
  /** The file that runs beside it: `<!-- with: order.mjs -->` stands before it. */
  readonly beside: string | undefined;
  /** Why it cannot be run: `<!-- not run: … -->` stands before it. */
  readonly notRun: string | undefined;
}

/** Each document with its text. */
export function texts(): ReadonlyMap<string, string> {
  return readDocuments();
}

/** The examples of all documents, in order. */
export function examples(): readonly Example[] {
  return documents().flatMap((document) => examplesOf(document, texts().get(document) ?? ""));
}

function examplesOf(document: string, text: string): readonly Example[] {
  const pattern = /((?:^<!-- [^\n]* -->\n\n?)*)^```(ts|js)\n([^]*?)^```\n(?:\nIt prints:\n\n```text\n([^]*?)^```\n)?/gm;
  return [...text.matchAll(pattern)].map(({ index, 1: comments = "", 2: language, 3: program = "", 4: prints }) => {
    const note = (name: string) => new RegExp(`<!-- ${name}: (.*?) -->`).exec(comments)?.[1];
    const line = text.slice(0, index + comments.length).split("\n").length;
    const notes = { file: note("file"), beside: note("with"), notRun: note("not run") };
    return { document, line, language: language === "js" ? "js" : "ts", program, prints, ...notes };
  });
}
