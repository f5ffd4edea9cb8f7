import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { connectNats, type NatsOptions, type Transport } from "../../../transport/index.js";
import { silentLog } from "../../../core/index.js";
import { createAuthority } from "../../support/certificates.js";
import { type NatsServer, startNatsServer } from "../../support/nats-server.js";
import { rejected, status } from "../../../testing/suites/transport-steps.js";

const transports: Transport[] = [];
const servers: NatsServer[] = [];
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "zooid-tls-"));
});
afterEach(async () => {
  await Promise.all(transports.splice(0).map((transport) => transport.close()));
  await Promise.all(servers.splice(0).map((server) => server.stop()));
  await rm(folder, { recursive: true, force: true });
});

async function serve(config: string): Promise<NatsServer> {
  const server = await startNatsServer({ config });
  servers.push(server);
  return server;
}

/** Connects and makes a round trip. */
async function connect(options: NatsOptions): Promise<Transport> {
  const transport = await connectNats(options);
  transports.push(transport);
  await transport.flush();
  return transport;
}

async function write(files: { readonly [name: string]: string }): Promise<void> {
  await Promise.all(Object.entries(files).map(([name, text]) => writeFile(join(folder, name), text)));
}

const file = (name: string): string => join(folder, name);
const withPassword = (password: string): string => `authorization { user: "zoo", password: "${password}" }`;
const withTls = (rest = ""): string => `tls { cert_file: "${file("server.pem")}", key_file: "${file("server.key")}"${rest} }`;
const withClientCertificates = (): string => withTls(`, ca_file: "${file("ca.pem")}", verify: true`);

const refused = { code: "ZOOID_NOT_AUTHORIZED", transient: false };
const distrusted = { code: "ZOOID_CERTIFICATE", transient: false };

describe("credentials", () => {
  test("user and password are accepted, as options or in the address; wrong ones are NotAuthorizedError", async () => {
    const { port, url } = await serve('authorization { user: "zoo", password: "p@ss:wörd" }');
    await connect({ servers: url, user: "zoo", password: "p@ss:wörd" });
    await connect({ servers: `nats://zoo:${encodeURIComponent("p@ss:wörd")}@127.0.0.1:${port}` });
    expect(await rejected(connectNats({ servers: url, user: "zoo", password: "wrong" }))).toMatchObject(refused);
    const error = await rejected(connectNats({ servers: `nats://zoo:secret@127.0.0.1:${port}` }));
    expect(error).toMatchObject({ ...refused, facts: { address: `127.0.0.1:${port}` } });
    expect(await rejected(connectNats({ servers: url }))).toMatchObject(refused);
  });

  test("a token is accepted", async () => {
    const { port, url } = await serve('authorization { token: "s3cret" }');
    await connect({ servers: url, token: "s3cret" });
    await connect({ servers: `nats://s3cret@127.0.0.1:${port}` });
    expect(await rejected(connectNats({ servers: url, token: "wrong" }))).toMatchObject(refused);
  });

  test("credentials that are refused later are tried again until they are accepted", async () => {
    const server = await serve(withPassword("old"));
    const warned: string[] = [];
    let refusedOnce: (() => void) | undefined;
    const wasRefused = new Promise<void>((resolve) => (refusedOnce = resolve));
    const transport = await connect({
      servers: server.url,
      user: "zoo",
      password: "old",
      log: {
        ...silentLog,
        warn: (facts, message) => {
          warned.push(message);
          if ("err" in facts && facts.err instanceof Error && facts.err.name === "NotAuthorizedError") refusedOnce?.();
        },
      },
    });
    await server.restart(withPassword("new"));
    await wasRefused;
    expect(transport.status).toBe("disconnected");
    const up = status(transport, "connected");
    await server.restart(withPassword("old"));
    await up;
    expect(warned).toContain("the link to NATS was lost");
  });

  test("a request to a subject that the broker forbids is NotAuthorizedError at once", async () => {
    const { url } = await serve(
      'authorization { users = [{ user: "zoo", password: "z", permissions { publish: ["allowed"], subscribe: [">"] } }] }',
    );
    const transport = await connect({ servers: url, user: "zoo", password: "z" });
    expect(await rejected(transport.request("forbidden", new Uint8Array(1), { timeoutMs: 3_600_000 }))).toMatchObject(refused);
    expect(transport.status).toBe("connected");
  });

  test("without the right to receive replies a request is NotAuthorizedError at once, until the broker allows it", async () => {
    const withInbox = (inbox: string) =>
      `authorization { users = [{ user: "zoo", password: "z", permissions { publish: [">"], subscribe: ["taken", "${inbox}"] } }] }`;
    const server = await serve(withInbox("_INBOX_own.>"));
    const transport = await connect({ servers: server.url, user: "zoo", password: "z" });
    transport.subscribe("taken", ({ payload, reply }) => reply?.(payload));
    const ask = () => rejected(transport.request("taken", new Uint8Array(1), { timeoutMs: 3_600_000 }));
    const subject = expect.stringMatching(/^_INBOX\.[0-9a-f]+\.\*$/);
    expect(await ask()).toMatchObject({ ...refused, facts: { subject } });
    expect(await ask()).toMatchObject({ ...refused, facts: { subject } });
    const up = status(transport, "connected");
    await server.restart(withInbox("_INBOX.>"));
    await up;
    expect([...(await transport.request("taken", new Uint8Array([1]), { timeoutMs: 10_000 }))]).toEqual([1]);
  });

  test("a subscription that the broker forbids shows it once the transport has flushed", async () => {
    const { url } = await serve(
      'authorization { users = [{ user: "zoo", password: "z", permissions { publish: [">"], subscribe: ["allowed", "_INBOX.>"] } }] }',
    );
    const transport = await connect({ servers: url, user: "zoo", password: "z" });
    const [allowed, forbidden] = ["allowed", "forbidden"].map((subject) => transport.subscribe(subject, () => undefined));
    await transport.flush();
    expect(allowed?.refused).toBeUndefined();
    expect(forbidden?.refused).toMatchObject({ ...refused, facts: { subject: "forbidden" } });
  });
});

describe("TLS", () => {
  test("a server with a trusted certificate is reached, by name and by address; another is refused", async () => {
    const authority = createAuthority("Zooid test");
    const server = authority.issue("broker", ["localhost", "127.0.0.1"]);
    await write({ "server.pem": server.cert, "server.key": server.key, "ca.pem": authority.ca });
    const { port } = await serve(withTls());
    await connect({ servers: `tls://localhost:${port}`, tls: { caFile: file("ca.pem") } });
    await connect({ servers: `tls://127.0.0.1:${port}`, tls: { ca: authority.ca } });
    await connect({
      servers: `nats://broker.test:${port}`,
      tls: { ca: authority.ca, serverName: "localhost" },
      resolve: async () => ["127.0.0.1"],
    });

    const unknown = await rejected(connectNats({ servers: `tls://localhost:${port}`, tls: { ca: createAuthority("Another").ca } }));
    expect(unknown).toMatchObject({ ...distrusted, facts: { problem: "untrusted" }, cause: expect.any(Error) });
    const misnamed = { servers: `tls://broker.test:${port}`, tls: { ca: authority.ca }, resolve: async () => ["127.0.0.1"] };
    const code = "ERR_TLS_CERT_ALTNAME_INVALID";
    expect(await rejected(connectNats(misnamed))).toMatchObject({ ...distrusted, facts: { problem: "misnamed" }, cause: { code } });
  });

  test.each(["tls", "nats"])("a server reached by %s:// and its IP address must have a certificate for that address", async (scheme) => {
    const authority = createAuthority("Zooid test");
    for (const [hosts, isTaken] of [
      [["127.0.0.1"], true],
      [["localhost"], false],
      [["127.0.0.2", "broker.test"], false],
    ] as const) {
      const server = authority.issue("broker", hosts);
      await write({ "server.pem": server.cert, "server.key": server.key });
      const { port } = await serve(withTls());
      const outcome = connect({ servers: `${scheme}://127.0.0.1:${port}`, tls: { ca: authority.ca } }).then(
        () => "taken",
        (error: unknown) => error,
      );
      const cause = expect.objectContaining({ code: "ERR_TLS_CERT_ALTNAME_INVALID" }) as unknown;
      expect(await outcome).toEqual(isTaken ? "taken" : expect.objectContaining({ code: "ZOOID_CERTIFICATE", cause }));
    }
  });

  test("a text that is no certificate, or a certificate without its key, is InvalidOptionError that names the option", async () => {
    await write({ "none.pem": "nothing\n" });
    const { cert, key } = createAuthority("Zooid test").issue("client");
    const wrong = [
      ["tls.caFile", { caFile: file("none.pem") }],
      ["tls.ca", { ca: "nothing" }],
      ["tls.key", { cert }],
      ["tls.cert", { key }],
    ] as const;
    for (const [option, tls] of wrong) {
      expect(await rejected(connectNats({ servers: "tls://localhost", tls }))).toMatchObject({
        code: "ZOOID_INVALID_OPTION",
        facts: { option },
      });
    }
  });

  test("a server that asks for a client's certificate accepts one of its authority, and no other", async () => {
    const authority = createAuthority("Zooid test");
    const another = createAuthority("Another");
    const [server, client, stranger] = [authority.issue("broker", ["localhost"]), authority.issue("client"), another.issue("client")];
    await write({
      "server.pem": server.cert,
      "server.key": server.key,
      "ca.pem": authority.ca,
      "client.pem": client.cert,
      "client.key": client.key,
    });
    const { port } = await serve(withClientCertificates());
    const servers = `tls://localhost:${port}`;
    await connect({ servers, tls: { caFile: file("ca.pem"), certFile: file("client.pem"), keyFile: file("client.key") } });
    await connect({ servers, tls: { ca: authority.ca, ...client } });
    expect(await rejected(connectNats({ servers, tls: { ca: authority.ca } }))).toMatchObject(refused);
    expect(await rejected(connectNats({ servers, tls: { ca: authority.ca, ...stranger } }))).toMatchObject(refused);
  });

  test("certificates are read again at each dial, so that they can be renewed", async () => {
    const [old, renewed] = [createAuthority("Old"), createAuthority("Renewed")];
    const install = async (authority: typeof old) => {
      const [server, client] = [authority.issue("broker", ["localhost"]), authority.issue("client")];
      await write({
        "server.pem": server.cert,
        "server.key": server.key,
        "ca.pem": authority.ca,
        "client.pem": client.cert,
        "client.key": client.key,
      });
    };
    await install(old);
    const server = await serve(withClientCertificates());
    const tls = { caFile: file("ca.pem"), certFile: file("client.pem"), keyFile: file("client.key") };
    const transport = await connect({ servers: `tls://localhost:${server.port}`, tls });
    await install(renewed);
    const up = status(transport, "connected");
    await server.restart();
    await up;
    await transport.flush();
  });

  test("a transport with TLS refuses a server without it", async () => {
    const { port } = await serve("");
    expect(await rejected(connectNats({ servers: `tls://127.0.0.1:${port}` }))).toMatchObject({ code: "ZOOID_DISCONNECTED" });
  });

  test("a file that cannot be read is InvalidOptionError that names the option", async () => {
    const error = await rejected(connectNats({ servers: "tls://localhost", tls: { keyFile: file("none.key") } }));
    expect(error).toMatchObject({ code: "ZOOID_INVALID_OPTION", facts: { option: "tls.keyFile" } });
  });
});
