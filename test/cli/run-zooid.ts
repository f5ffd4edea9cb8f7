import { spawn } from "node:child_process";
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import type { CommandError, Interrupted } from "../../cli/failure.js";
import { Output } from "../../cli/output.js";
import { createProgram } from "../../cli/program.js";
import { built } from "../support/built.js";

const root = fileURLToPath(new URL("../..", import.meta.url));

export interface Ran {
  readonly out: string;
  readonly err: string;
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Runs the command in a process of its own. */
export const runZooid = (words: readonly string[], input = "", variables: Readonly<Record<string, string>> = {}): Promise<Ran> =>
  runProgram("cli/zooid.js", words, input, variables);

/** Runs the example in a process of its own, as `npm start` does. */
export const runExample = (words: readonly string[]): Promise<Ran> => runProgram("examples/cities/start.js", words, "", {});

async function runProgram(
  file: string,
  words: readonly string[],
  input: string,
  variables: Readonly<Record<string, string>>,
): Promise<Ran> {
  const child = spawn(process.execPath, [built(file), ...words], {
    cwd: root,
    env: { ...process.env, ...variables },
  });
  const ended = new Promise<Pick<Ran, "code" | "signal">>((resolve) => {
    child.once("close", (code, signal) => resolve({ code, signal }));
  });
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  const [out, err, end] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { out, err, ...end };
}

/** Runs the command in this process. Returns its output lines and its error. */
export async function zooid(words: readonly string[], signal: AbortSignal = new AbortController().signal) {
  const stream = new PassThrough();
  const said: string[] = [];
  const gone: (CommandError | Interrupted)[] = [];
  const written = text(stream);
  const out = new Output(stream, (why) => gone.push(why));
  const program = createProgram({ out, signal, say: (line) => void said.push(line) });
  let error: unknown;
  try {
    await program.parseAsync(["node", "zooid", ...words]);
  } catch (reason) {
    error = reason;
  }
  stream.end();
  const lines = (await written).split("\n").slice(0, -1);
  return { lines, said, error };
}
