import { readFileSync } from "node:fs";
import { PassThrough } from "node:stream";
import { afterEach, describe, expect, test, vi } from "vitest";
import { exitCodes } from "../../cli/failure.js";
import { Output } from "../../cli/output.js";
import { createProgram } from "../../cli/program.js";
import { runZooid, zooid } from "./run-zooid.js";

const silent = () =>
  createProgram({ out: new Output(new PassThrough(), () => undefined), signal: new AbortController().signal, say: () => undefined });
const commands = silent().commands.map((command) => command.name());

afterEach(() => {
  vi.unstubAllEnvs();
});

describe("help", () => {
  test("the commands are those of the house", () => {
    expect(commands).toEqual(["up", "serve", "get", "put", "delete", "list", "import", "export", "status", "machines"]);
  });

  test.each(commands)("of %s has examples", (name) => {
    const command = silent().commands.find((each) => each.name() === name);
    let help = "";
    command?.configureOutput({ writeOut: (text) => (help += text) });
    command?.outputHelp();
    const examples = help.split("Examples:")[1] ?? "";
    expect(examples).toMatch(/\$ .*(?:zooid|npm start)/);
    expect(help).toMatch(/env: ZOOID_/);
  });

  test("is printed with exit code 0, and without a command with 2", async () => {
    const [asked, forgotten] = await Promise.all([runZooid(["--help"]), runZooid([])]);
    expect(asked).toMatchObject({ code: 0, err: "" });
    expect(asked.out).toContain("Usage: zooid");
    expect(forgotten).toMatchObject({ code: 2, out: "" });
    expect(forgotten.err).toMatch(/^zooid: .*\(ZOOID_USAGE\)\n$/);
  });
});

describe("what is wrong is named", () => {
  test.each([
    [["get", "a", "--timeout", "3"], "--timeout <duration>"],
    [["get", "a", "--servers", "redis://x"], "--servers <addresses>"],
    [["get", "a", "--realm", "a.b"], "--realm <name>"],
    [["get", "a", "--log-level", "loud"], "--log-level <level>"],
    [["up", "--port", "70000"], "--port <port>"],
    [["up", "--service-ports", "1,1"], "--service-ports <ports>"],
    [["up", "--broker", "redis"], "--broker <kind>"],
    [["serve", "--history-age", "soon"], "--history-age <duration>"],
    [["serve", "--storages", "a,,b"], "--storages <names>"],
    [["list", "--limit", "0"], "--limit <count>"],
    [["get", "a", "--nonsense"], "--nonsense"],
  ])("%j", async (words, flag) => {
    const { error } = await zooid(words);
    expect((error as Error).message).toContain(flag);
  });

  test.each([
    ["ZOOID_SERVERS", "http://nats", ["get", "a"]],
    ["ZOOID_TIMEOUT", "soon", ["status"]],
    ["ZOOID_HISTORY_AGE", "1", ["serve"]],
    ["ZOOID_BROKER_PORT", "tcp://10.0.0.1", ["up"]],
    ["ZOOID_JSON", "perhaps", ["status"]],
    ["ZOOID_READ_ONLY", "maybe", ["serve"]],
  ] as const)("the variable %s", async (variable, value, words) => {
    vi.stubEnv(variable, value);
    const { error } = await zooid(words);
    expect((error as Error).message).toContain(variable);
  });

  test("a mistyped command is corrected, in one line with a code", async () => {
    const { err, code } = await runZooid(["statsu"]);
    expect(err).toBe("zooid: unknown command 'statsu' (did you mean status?) (ZOOID_USAGE)\n");
    expect(code).toBe(2);
  });

  test("a server that is not there is told within the time-out, as JSON if asked", async () => {
    const { err, code } = await runZooid(["status", "--servers", "nats://127.0.0.1:1", "--timeout", "300ms", "--json"]);
    expect(code).toBe(1);
    expect(JSON.parse(err)).toMatchObject({ event: "error", error: { code: "ZOOID_DISCONNECTED", transient: true } });
  });
});

describe("README", () => {
  const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");

  test.each(commands)("tells what %s is for", (name) => {
    expect(readme).toMatch(new RegExp(`^\\| \`zooid ${name}\\b[^|]*\\| +\\S`, "m"));
  });

  test("lists the codes that only the command line has", () => {
    const listed = [...readme.matchAll(/^\| `(ZOOID_[A-Z_]+)` +\| [^|]*\|$/gm)].map((match) => match[1]);
    expect(listed).toEqual(Object.keys(exitCodes));
  });
});
