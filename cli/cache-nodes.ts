import type { Command } from "commander";
import { type CacheNode, findCacheNodes } from "../cache.js";
import { abortable, systemClock, systemRandom } from "../core/index.js";
import { openTransport } from "../actors/index.js";
import { addAddressOptions, type AddressFlags, brokerOf, logOf } from "./connection.js";
import { CommandError, failureOf } from "./failure.js";
import { option, parseDuration, parseName } from "./parsing.js";
import type { Surroundings } from "./surroundings.js";
import { table } from "./table.js";

/** Flags of every command that talks to the nodes of a cache. */
export interface CacheFlags extends AddressFlags {
  readonly prefix: string;
  readonly node?: string;
  readonly wait: number;
  readonly timeout: number;
}

/** Adds the flags of CacheFlags. */
export function addCacheOptions(command: Command): Command {
  command
    .addOption(option("--prefix <name>", "ZOOID_PREFIX", "prefix of the cache").argParser(parseName).default("zooid"))
    .addOption(option("--node <name>", "ZOOID_NODE", "the node of this name, or id (default: all nodes)").argParser(parseName))
    .addOption(
      option("--wait <duration>", "ZOOID_WAIT", "wait this long for nodes to answer").argParser(parseDuration).default(250, "250ms"),
    )
    .addOption(
      option("--timeout <duration>", "ZOOID_ANSWER_TIMEOUT", "wait this long for the answer of a node")
        .argParser(parseDuration)
        .default(10_000, "10s"),
    );
  return addAddressOptions(command, "error");
}

/** How the answer of one node is shown. */
export interface AnswerView<Answer> {
  /** Columns of the table, after the node. */
  readonly columns: readonly string[];
  /** Rows of the table. */
  readonly cells: (answer: Answer) => readonly (readonly string[])[];
  /** Rows as JSON. */
  readonly rows: (answer: Answer) => readonly object[];
  /** The key or tag after which the node has more rows. */
  readonly next?: (answer: Answer) => string | undefined;
}

/** The answer of one node. `label`: its name, with its id when several nodes have that name. */
interface Answered<Answer> {
  readonly node: CacheNode;
  readonly label: string;
  readonly answer: Answer;
}

/**
 * Asks all nodes that `flags` select, at the same time, and shows the answers. Throws a CommandError when there is no
 * such node, and, after showing the other answers, when a node failed.
 */
export async function askNodes<Answer>(
  flags: CacheFlags,
  surroundings: Surroundings,
  ask: (node: CacheNode) => Promise<Answer>,
  view: AnswerView<Answer>,
): Promise<void> {
  const { signal } = surroundings;
  const seams = { clock: systemClock, random: systemRandom, log: logOf(flags) };
  const transport = await openTransport({ ...(await brokerOf(flags)), name: "zooid cache", ...seams });
  try {
    signal.throwIfAborted();
    const { prefix, wait: waitMs, timeout: timeoutMs } = flags;
    const finding = findCacheNodes({ prefix, transport, waitMs, timeoutMs: Math.max(1, timeoutMs), ...seams });
    const there = await abortable(finding, signal);
    const meant = nodesMeant(there, flags, transport.address);
    const asking = Promise.allSettled(meant.map((node) => ask(node)));
    const outcomes = await abortable(asking, signal);
    const labels = labelsOf(meant);
    const answers: Answered<Answer>[] = [];
    const failures: unknown[] = [];
    for (const [index, node] of meant.entries()) {
      const outcome = outcomes[index];
      const label = labels[index] ?? node.node;
      if (outcome?.status === "fulfilled") answers.push({ node, label, answer: outcome.value });
      else failures.push(failed(label, outcome?.reason));
    }
    if (answers.length > 0) await show(answers, view, flags, surroundings);
    if (failures.length > 0) throw together(failures as CommandError[]);
  } finally {
    await transport.close();
  }
}

async function show<Answer>(
  answers: readonly Answered<Answer>[],
  { columns, cells, rows, next }: AnswerView<Answer>,
  flags: CacheFlags,
  { out, say }: Surroundings,
): Promise<void> {
  if (flags.json === true) {
    for (const { node, answer } of answers) {
      for (const row of rows(answer)) await out.json({ node: node.node, instance: node.instance, ...row });
    }
  } else {
    const lines = answers.flatMap(({ label, answer }) => cells(answer).map((row) => [label, ...row]));
    for (const line of table(["node", ...columns], lines)) await out.line(line);
  }
  for (const { label, answer } of answers) {
    const after = next?.(answer);
    if (after !== undefined) say(`node ${label} has more: go on with --after ${JSON.stringify(after)}`);
  }
}

/** The nodes of `there` that `flags` select. Throws a CommandError when there is none. */
function nodesMeant(there: readonly CacheNode[], { prefix, node, wait }: CacheFlags, address: string): readonly CacheNode[] {
  if (there.length === 0) {
    const message = `no node of a cache with prefix ${JSON.stringify(prefix)} answered at ${address} within ${wait} ms`;
    throw new CommandError("ZOOID_NOT_FOUND", `${message}; --prefix names another cache`, { prefix, address });
  }
  const meant = node === undefined ? there : there.filter((each) => each.node === node || each.instance === node);
  if (meant.length > 0) return meant;
  const others = [...new Set(there.map((each) => each.node))].join(", ");
  throw new CommandError("ZOOID_NOT_FOUND", `no node ${JSON.stringify(node)} answered; there are ${others}`, { node: node ?? "", prefix });
}

function labelsOf(nodes: readonly CacheNode[]): readonly string[] {
  const isShared = (name: string) => nodes.filter(({ node }) => node === name).length > 1;
  return nodes.map(({ node, instance }) => (isShared(node) ? `${node} (${instance})` : node));
}

function failed(label: string, reason: unknown): CommandError {
  const { code, message, facts } = failureOf(reason);
  return new CommandError(code, `node ${label}: ${message}`, { ...facts, node: label }, reason);
}

function together(failures: readonly CommandError[]): CommandError {
  const [first, ...others] = failures;
  if (first === undefined || others.length === 0) return first ?? new CommandError("ZOOID_INTERNAL", "nothing failed");
  return new CommandError(first.code, failures.map(({ message }) => message).join("; "), first.facts, first.cause);
}
