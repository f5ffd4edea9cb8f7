/**
 * A running broker refuses our credentials, or we refuse its certificate: connect, createCache and the command line
 * name the cause at once.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createCache } from "../../cache.js";
import { deferred } from "../../core/deferred.js";
import { connect, type ConnectOptions } from "../../index.js";
import { zooid } from "../cli/run-zooid.js";
import { createAuthority } from "../support/certificates.js";
import { type NatsServer, startNatsServer } from "../support/nats-server.js";

/** Far below waitTimeoutMs, and longer than a handshake takes on a busy machine. */
const soonMs = 10_000;

type Identity = Pick<ConnectOptions, "user" | "password" | "inboxPrefix" | "tls">;

interface Refusal {
  /** Configuration of the broker. */
  readonly config: string;
  /** Credentials that this process presents, and the authorities that it trusts. */
  readonly identity: Identity;
  readonly host?: string;
  readonly error: object;
  readonly text: RegExp;
}

const authority = createAuthority("Zooid test");
const refusals: Readonly<Record<string, Refusal>> = {
  "credentials that are missing": {
    config: 'authorization { user: "zoo", password: "secret" }',
    identity: {},
    error: { code: "ZOOID_NOT_AUTHORIZED", facts: { refused: "credentials" } },
    text: /the broker asks for credentials and none are given: a user with a password, or a token/,
  },
  "credentials that are wrong": {
    config: 'authorization { user: "zoo", password: "secret" }',
    identity: { user: "zoo", password: "guess" },
    error: { code: "ZOOID_NOT_AUTHORIZED", facts: { refused: "credentials" } },
    text: /the broker refuses the credentials: /,
  },
  "a certificate signed by another authority": {
    config: tls("server"),
    identity: { tls: { caFile: "another.pem" } },
    error: { code: "ZOOID_CERTIFICATE", facts: { problem: "untrusted" } },
    text: /^the certificate of the broker at localhost:\d+ is not trusted: .*tls\.caFile \(--tls-ca\)$/,
  },
  "a certificate of an authority that is not trusted": {
    config: tls("server"),
    identity: {},
    error: { code: "ZOOID_CERTIFICATE", facts: { problem: "untrusted" } },
    text: /is not trusted: /,
  },
  "a certificate that has expired": {
    config: tls("expired"),
    identity: { tls: { caFile: "ca.pem" } },
    error: { code: "ZOOID_CERTIFICATE", facts: { problem: "expired" } },
    text: /^the certificate of the broker at localhost:\d+ has expired: /,
  },
  "a certificate that is not valid yet": {
    config: tls("early"),
    identity: { tls: { caFile: "ca.pem" } },
    error: { code: "ZOOID_CERTIFICATE", facts: { problem: "notYetValid" } },
    text: /is not valid yet: /,
  },
  "a certificate for another name": {
    config: tls("misnamed"),
    identity: { tls: { caFile: "ca.pem" } },
    error: { code: "ZOOID_CERTIFICATE", facts: { problem: "misnamed" } },
    text: /is for another name: .*broker\.test.*tls\.serverName/,
  },
  "no certificate of ours": {
    config: tls("server", `, ca_file: "$folder/ca.pem", verify: true`),
    identity: { tls: { caFile: "ca.pem" } },
    error: { code: "ZOOID_NOT_AUTHORIZED", facts: { refused: "certificate" } },
    text: /asks for a certificate of this process and none is given: tls\.certFile and tls\.keyFile/,
  },
  "a certificate of ours that the broker does not trust": {
    config: tls("server", `, ca_file: "$folder/ca.pem", verify: true`),
    identity: { tls: { caFile: "ca.pem", certFile: "stranger.pem", keyFile: "stranger.key" } },
    error: { code: "ZOOID_NOT_AUTHORIZED", facts: { refused: "certificate" } },
    text: /the broker refuses the certificate of this process/,
  },
};

function tls(name: string, more = ""): string {
  return `tls { cert_file: "$folder/${name}.pem", key_file: "$folder/${name}.key"${more} }`;
}

const brokers: NatsServer[] = [];
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "zooid-refused-"));
  const issued = {
    server: authority.issue("broker", ["localhost"]),
    expired: authority.issue("broker", ["localhost"], [-3, -2]),
    early: authority.issue("broker", ["localhost"], [2, 3]),
    misnamed: authority.issue("broker", ["broker.test"]),
    stranger: createAuthority("Another").issue("client"),
  };
  for (const [name, { cert, key }] of Object.entries(issued)) {
    await writeFile(join(folder, `${name}.pem`), cert);
    await writeFile(join(folder, `${name}.key`), key);
  }
  await writeFile(join(folder, "ca.pem"), authority.ca);
  await writeFile(join(folder, "another.pem"), createAuthority("Another").ca);
});

afterAll(async () => {
  for (const broker of brokers) await broker.stop();
  await rm(folder, { recursive: true, force: true });
});

async function serve(config: string): Promise<string> {
  const broker = await startNatsServer({ config: config.replaceAll("$folder", folder) });
  brokers.push(broker);
  return `nats://localhost:${broker.port}`;
}

/** `identity` with full paths of its files. */
function placed({ tls: files, ...identity }: Identity): Identity {
  return files === undefined
    ? identity
    : { ...identity, tls: Object.fromEntries(Object.entries(files).map(([name, file]) => [name, join(folder, String(file))])) };
}

function flagsOf({ user, password, inboxPrefix, tls: files }: Identity): readonly string[] {
  const flags = {
    "--user": user,
    "--password": password,
    "--inbox-prefix": inboxPrefix,
    "--tls-ca": files?.caFile,
    "--tls-cert": files?.certFile,
    "--tls-key": files?.keyFile,
  };
  return Object.entries(flags).flatMap(([flag, value]) => (value === undefined ? [] : [flag, value]));
}

/** The error of `opening`, which must fail soon. */
async function refusal(opening: Promise<{ close(): Promise<void> }>): Promise<Error> {
  const since = performance.now();
  const error: unknown = await opening.then(
    async (opened) => {
      await opened.close();
      return new Error("it opened");
    },
    (reason: unknown) => reason,
  );
  expect(performance.now() - since).toBeLessThan(soonMs);
  return error as Error;
}

describe.each(Object.entries(refusals))("%s", (_, { config, identity, error, text }) => {
  let servers: string;
  beforeAll(async () => {
    servers = await serve(config);
  });

  test("is the error of connect", async () => {
    const found = await refusal(connect({ servers, ...placed(identity) }));
    expect(found).toMatchObject({ ...error, transient: false });
    expect(found.message).toMatch(text);
  });

  test.each(["jetstream", "nats"] as const)("is the error of createCache over %s", async (busKind) => {
    const found = await refusal(createCache({ busUrl: servers, busKind, ...placed(identity) }));
    expect(found).toMatchObject({ ...error, transient: false });
    expect(found.message).toMatch(text);
  });

  test.each([["get", "a"], ["serve"], ["cache", "stats"]])("is the error of zooid %s", async (...words) => {
    const since = performance.now();
    const data = words[0] === "serve" ? ["--data", join(folder, "served")] : [];
    const { error: found } = await zooid([...words, ...data, "--servers", servers, "--log-level", "silent", ...flagsOf(placed(identity))]);
    expect(performance.now() - since).toBeLessThan(soonMs);
    expect(found).toMatchObject(error);
    expect((found as Error).message).toMatch(text);
  });
});

describe("an inbox that the user may not subscribe to", () => {
  const config = `jetstream { store_dir: "$folder/data" }
    authorization { users: [{ user: app, password: p, permissions { publish: ">", subscribe: ["zooid.>", "_INBOX_app.>"] } }] }`;
  const identity = { user: "app", password: "p" };
  const refused = {
    code: "ZOOID_NOT_AUTHORIZED",
    message: expect.stringMatching(/ to subscribe to _INBOX\.\S+: answers come to it; permit it, or name with inboxPrefix /) as string,
  };

  test("is the error of connect and of the command line, and is reported by a cache for its bus", async () => {
    const servers = await serve(config);
    expect(await refusal(connect({ servers, ...identity }))).toMatchObject(refused);
    expect((await zooid(["get", "a", "--servers", servers, ...flagsOf(identity)])).error).toMatchObject(refused);
    const warned = deferred<object>();
    const keep = () => undefined;
    const log = { trace: keep, debug: keep, info: keep, error: keep, fatal: keep, warn: (facts: object) => warned.resolve(facts) };
    await using cache = await createCache({ busUrl: servers, ...identity, log });
    await warned.promise;
    await expect(cache.invalidate("a")).rejects.toMatchObject(refused);
    expect(cache.stats().busTrouble).toEqual(refused.message);
  });
});
