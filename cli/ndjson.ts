import type { Value } from "../index.js";
import { asBuffer, asKey, limits } from "../core/index.js";
import { CommandError } from "./failure.js";
import { fromJson, parseJson, toJson } from "./json-values.js";

/** One object of a storage. */
export interface Row {
  readonly key: string;
  readonly value: Value;
}

/** A row with its position. `bytes` counts the end of its line, too. */
export interface NumberedRow extends Row {
  readonly line: number;
  readonly bytes: number;
}

/** Enough for the JSON of the largest value, with bytes in base64. */
const lineBytesMax = 2 * limits.messageBytesMax;

/** The line of one row, without its end. */
export function rowToLine(row: Row): string {
  return JSON.stringify({ key: row.key, value: toJson(row.value) });
}

/**
 * Rows of NDJSON, one `{"key": …, "value": …}` a line, in order; empty lines are skipped. At the first line that is not
 * a row it throws a CommandError that names the line. `fromLine` counts from 1.
 */
export async function* readRows(input: AsyncIterable<Uint8Array>, fromLine = 1): AsyncGenerator<NumberedRow> {
  for await (const { line, bytes } of readLines(input)) {
    const text = bytes.toString("utf8").trim();
    if (line >= fromLine && text !== "") yield { ...rowOf(text, line), line, bytes: bytes.length + 1 };
  }
}

function rowOf(text: string, line: number): Row {
  try {
    const json = parseJson(text);
    if (typeof json !== "object" || json === null || Array.isArray(json)) throw new Error("it is not an object");
    const { key, value, ...rest } = json as Record<string, unknown>;
    if (typeof key !== "string") throw new Error('it has no "key"');
    if (value === undefined) throw new Error('it has no "value"');
    const [other] = Object.keys(rest);
    if (other !== undefined) throw new Error(`${JSON.stringify(other)} is neither key nor value`);
    return { key: asKey(key), value: fromJson(value) };
  } catch (error) {
    throw badLine(line, error);
  }
}

/** The error that names line `line`. */
export function badLine(line: number, cause: unknown): CommandError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new CommandError("ZOOID_BAD_LINE", `line ${line} is not a row {"key": …, "value": …}: ${reason}`, { line }, cause);
}

async function* readLines(input: AsyncIterable<Uint8Array>): AsyncGenerator<{ line: number; bytes: Buffer }> {
  let line = 1;
  let parts: Buffer[] = [];
  let length = 0;
  const take = (part: Buffer) => {
    parts.push(part);
    length += part.length;
    if (length > lineBytesMax) throw badLine(line, new Error(`it is longer than ${lineBytesMax} bytes`));
  };
  for await (const chunk of input) {
    const bytes = asBuffer(chunk);
    let from = 0;
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, from)) {
      take(bytes.subarray(from, end));
      yield { line, bytes: parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts) };
      line++;
      parts = [];
      length = 0;
      from = end + 1;
    }
    if (from < bytes.length) take(bytes.subarray(from));
  }
  if (length > 0) yield { line, bytes: Buffer.concat(parts) };
}
