/** Standard error of a process, with the number of lines and errors that LMDB and lmdb-js print when a write fails. */
export interface LmdbStderr {
  readonly byLmdb: number;
  readonly byLmdbJs: number;
  /** The rest, which others printed. */
  readonly rest: string;
}

/** LMDB prints the first without a line break. */
const lmdbLines = [/Write error: [^\n]*? position \d+, size \d+/g, /^mdb_page_spill (?:flushing )?error -?\d+\n/gm];
/** An error whose stack is in lmdb-js alone, as `console.error` prints it. */
const lmdbJsErrors = /^Error: [^\n]+\n(?: {4}at [^\n]*\/lmdb\/[^\n]*\n)+(?: {2}\w+: [^\n]*\n)*\}?/gm;

export function splitLmdbStderr(stderr: string): LmdbStderr {
  let byLmdb = 0;
  const others = lmdbLines.reduce((text, line) => text.replaceAll(line, () => (byLmdb++, "")), stderr);
  const byLmdbJs = others.match(lmdbJsErrors)?.length ?? 0;
  return { byLmdb, byLmdbJs, rest: others.replaceAll(lmdbJsErrors, "").trim() };
}

/** `stderr` without the lines that LMDB and lmdb-js print past any logger: test/platform/lmdb.test.ts shows them. */
export const withoutLmdbLines = (stderr: string): string => splitLmdbStderr(stderr).rest;
