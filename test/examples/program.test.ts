import { PassThrough } from "node:stream";
import { afterEach, expect, test, vi } from "vitest";
import { Output } from "../../cli/output.js";
import { createExample } from "../../examples/cities/program.js";
import { runExample } from "../cli/run-zooid.js";

const create = () =>
  createExample({ out: new Output(new PassThrough(), () => undefined), signal: new AbortController().signal, say: () => undefined });

afterEach(() => {
  vi.unstubAllEnvs();
});

test("npm start -- --help shows the flags, their variables and examples, with exit code 0", async () => {
  const { out, err, code } = await runExample(["--help"]);
  expect({ err, code }).toEqual({ err: "", code: 0 });
  expect(out).toContain("Usage: npm start -- [options]");
  expect(out).toMatch(/env: ZOOID_/);
  expect(out.split("Examples:")[1] ?? "").toMatch(/\$ npm start/);
});

test.each([
  [["--port", "70000"], "--port <port>"],
  [["--service-ports", "1,1"], "--service-ports <ports>"],
  [["--broker", "redis"], "--broker <kind>"],
])("%j is refused, and the flag named", async (words, flag) => {
  await expect(create().parseAsync(["node", "start", ...words])).rejects.toThrow(flag);
});

test("a variable with a wrong value is refused, and the error names it", async () => {
  vi.stubEnv("ZOOID_BROKER_PORT", "tcp://10.0.0.1");
  await expect(create().parseAsync(["node", "start"])).rejects.toThrow("ZOOID_BROKER_PORT");
});

test("a mistyped flag is an error of one line with a code, and suggests the right flag", async () => {
  expect(await runExample(["--citis", "1"])).toMatchObject({
    code: 2,
    out: "",
    err: "cities: unknown option '--citis' (did you mean --cities?) (ZOOID_USAGE)\n",
  });
});
