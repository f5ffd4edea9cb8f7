import { readFileSync } from "node:fs";
import { PassThrough } from "node:stream";
import type { Command } from "commander";
import { afterEach, describe, expect, test, vi } from "vitest";
import { exitCodes } from "../../cli/failure.js";
import { Output } from "../../cli/output.js";
import { createProgram } from "../../cli/program.js";
import { runZooid, zooid } from "./run-zooid.js";

const silent = () =>
  createProgram({ out: new Output(new PassThrough(), () => undefined), signal: new AbortController().signal, say: () => undefined });
const commands = silent().commands.map((command) => command.name());
/** Every command that does something, subcommands such as `cache stats` included. */
const deeds = silent().commands.flatMap((command) => (command.commands.length === 0 ? [command] : command.commands));

const wordsOf = (command: Command): string => (command.parent?.parent ? `${command.parent.name()} ${command.name()}` : command.name());

function helpOf(command: Command | undefined): string {
  let help = "";
  command?.configureOutput({ writeOut: (text) => (help += text) });
  command?.outputHelp();
  return help;
}

afterEach(() => {
  vi.unstubAllEnvs();
});

describe("help", () => {
  test("lists these commands", () => {
    expect(commands).toEqual([
      "serve",
      "get",
      "put",
      "delete",
      "list",
      "import",
      "export",
      "status",
      "top",
      "watch",
      "record",
      "replay",
      "machines",
      "cache",
    ]);
  });

  test.each(deeds.map((command) => [wordsOf(command), command] as const))("of %s has examples", (_, command) => {
    const help = helpOf(command);
    expect(help.split("Examples:")[1] ?? "").toMatch(/\$ .*zooid/);
    expect(help).toMatch(/env: ZOOID_/);
  });

  // A recording is read without a broker.
  const connecting = deeds.filter((command) => command.name() !== "replay");
  test.each(connecting.map((command) => [wordsOf(command), command] as const))("of %s has --inbox-prefix", (_, command) => {
    expect(command.options.find(({ long }) => long === "--inbox-prefix")?.envVar).toBe("ZOOID_INBOX_PREFIX");
    expect(helpOf(command)).toMatch(/--inbox-prefix <subject> .*_INBOX/);
  });

  test("of cache lists its subcommands, with examples", () => {
    const help = helpOf(silent().commands.find((each) => each.name() === "cache"));
    for (const name of ["stats", "keys", "tags", "invalidate", "clear", "prune"]) expect(help).toMatch(new RegExp(`^  ${name} `, "m"));
    expect(help).toContain("Examples:");
  });

  test("is printed with exit code 0, and without a command with 2", async () => {
    const [asked, forgotten] = await Promise.all([runZooid(["--help"]), runZooid([])]);
    expect(asked).toMatchObject({ code: 0, err: "" });
    expect(asked.out).toContain("Usage: zooid");
    expect(forgotten).toMatchObject({ code: 2, out: "" });
    expect(forgotten.err).toMatch(/^zooid: .*\(ZOOID_USAGE\)\n$/);
  });
});

describe("wrong usage is an error that names the fault", () => {
  test.each([
    [["get", "a", "--timeout", "3"], "--timeout <duration>"],
    [["get", "a", "--servers", "redis://x"], "--servers <addresses>"],
    [["get", "a", "--realm", "a.b"], "--realm <name>"],
    [["get", "a", "--log-level", "loud"], "--log-level <level>"],
    [["serve", "--history-age", "soon"], "--history-age <duration>"],
    [["serve", "--storages", "a,,b"], "--storages <names>"],
    [["list", "--limit", "0"], "--limit <count>"],
    [["get", "a", "--nonsense"], "--nonsense"],
    [["cache", "keys", "--limit", "many"], "--limit <count>"],
    [["cache", "stats", "--node", "a.b"], "--node <name>"],
    [["cache", "stats", "--wait", "1"], "--wait <duration>"],
    [["cache", "prune", "--unused", "old"], "--unused <duration>"],
    [["cache", "invalidate"], "tag"],
    [["cache", "stat"], "stats"],
  ])("%j", async (words, flag) => {
    const { error } = await zooid(words);
    expect((error as Error).message).toContain(flag);
  });

  test.each([
    ["ZOOID_SERVERS", "http://nats", ["get", "a"]],
    ["ZOOID_TIMEOUT", "soon", ["status"]],
    ["ZOOID_HISTORY_AGE", "1", ["serve"]],
    ["ZOOID_JSON", "perhaps", ["status"]],
    ["ZOOID_READ_ONLY", "maybe", ["serve"]],
    ["ZOOID_NODE", "a b", ["cache", "stats"]],
    ["ZOOID_JSON", "perhaps", ["cache", "clear"]],
  ] as const)("the variable %s", async (variable, value, words) => {
    vi.stubEnv(variable, value);
    const { error } = await zooid(words);
    expect((error as Error).message).toContain(variable);
  });

  test("a mistyped command is an error of one line with a code, and suggests the right command", async () => {
    const { err, code } = await runZooid(["statsu"]);
    expect(err).toBe("zooid: unknown command 'statsu' (did you mean status?) (ZOOID_USAGE)\n");
    expect(code).toBe(2);
  });

  test.each([
    [["get", "a", "--storag", "main"], "--storage"],
    [["cache", "stat"], "stats"],
    [["cache", "stats", "--prefx", "a"], "--prefix"],
  ])("%j is corrected too, by %s", async (words, meant) => {
    const { err, code } = await runZooid(words);
    expect({ code, meant: /\(did you mean (\S+)\?\) \(ZOOID_USAGE\)\n$/.exec(err)?.[1] }).toEqual({ code: 2, meant });
  });

  test("an unknown command is wrong usage, and the error refers to the list of commands", async () => {
    const { err, code } = await runZooid(["frobnicate"]);
    expect({ err, code }).toEqual({ err: "zooid: unknown command 'frobnicate': see zooid --help (ZOOID_USAGE)\n", code: 2 });
  });

  test("a missing server is reported within the time-out, as JSON with --json", async () => {
    const { err, code } = await runZooid(["status", "--servers", "nats://127.0.0.1:1", "--timeout", "300ms", "--json"]);
    expect(code).toBe(1);
    expect(JSON.parse(err)).toMatchObject({ event: "error", error: { code: "ZOOID_DISCONNECTED", transient: true } });
  });
});

describe("the documents", () => {
  const guide = readFileSync(new URL("../../docs/guide/command-line.md", import.meta.url), "utf8");
  const errors = readFileSync(new URL("../../docs/reference/errors.md", import.meta.url), "utf8");

  test.each(commands)("say what %s is for", (name) => {
    expect(guide).toMatch(new RegExp(`^\\| \`zooid ${name}\\b[^|]*\\| +\\S`, "m"));
  });

  test("and the help of serve say how long a server waits for the end of one whose machine has vanished", () => {
    const guarantees = readFileSync(new URL("../../docs/guarantees.md", import.meta.url), "utf8");
    expect(guarantees).toContain("`ping_interval` × (`ping_max` + 2)");
    expect(helpOf(silent().commands.find((each) => each.name() === "serve"))).toContain("ping_interval x (ping_max + 2)");
  });

  test("list the error codes that only the command line uses", () => {
    const listed = [...errors.matchAll(/^\| `(ZOOID_[A-Z_]+)` +\| [^|]*\|$/gm)].map((match) => match[1]);
    expect(listed).toEqual(Object.keys(exitCodes));
  });
});
