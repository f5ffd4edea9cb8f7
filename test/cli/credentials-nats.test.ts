import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type NatsServer, startNatsServer } from "../support/nats-server.js";
import { zooid } from "./run-zooid.js";

let nats: NatsServer;

beforeAll(async () => {
  nats = await startNatsServer({ config: 'authorization { users: [{ user: "shop", password: "secret" }] }' });
});
afterAll(() => nats.stop());

describe("credentials on the command line", () => {
  const asked = ["--timeout", "500ms", "--servers"];

  test("are refused at once if wrong; with the right ones the error is the missing storage server", async () => {
    const wrong = await zooid(["status", ...asked, nats.url, "--user", "shop", "--password", "guess"]);
    expect(wrong.error).toMatchObject({ code: "ZOOID_NOT_AUTHORIZED" });
    const right = await zooid(["status", ...asked, nats.url, "--user", "shop", "--password", "secret"]);
    expect(right.error).toMatchObject({ code: "ZOOID_DISCONNECTED" });
  });

  test("come from variables too, and never appear in the error", async () => {
    vi.stubEnv("ZOOID_USER", "shop");
    vi.stubEnv("ZOOID_PASSWORD", "guess");
    const { error } = await zooid(["get", "a", ...asked, nats.url]);
    vi.unstubAllEnvs();
    expect(error).toMatchObject({ code: "ZOOID_NOT_AUTHORIZED" });
    expect((error as Error).message).not.toContain("guess");
  });

  test("with a file that cannot be read are an error that names the flag", async () => {
    const { error } = await zooid(["get", "a", ...asked, nats.url, "--tls-ca", "missing.pem"]);
    expect((error as Error).message).toMatch(/'--tls-ca <file>' argument 'missing\.pem' is invalid\. It cannot be read \(ENOENT\)\./);
  });
});
