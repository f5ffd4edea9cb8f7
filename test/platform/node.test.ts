import { AsyncLocalStorage } from "node:async_hooks";
import { getMaxListeners, once } from "node:events";
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { connect as dial } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as dialTls, createSecureContext, createServer } from "node:tls";
import { inspect } from "node:util";
import { tryLock } from "fs-native-extensions";
import { expect, onTestFinished, test, vi } from "vitest";
import { createAuthority } from "../support/certificates.js";

test("a timer of more than 2,147,483,647 ms fires after 1 ms, and one of Infinity too", async () => {
  const warnings: string[] = [];
  const warned = vi.spyOn(process, "emitWarning").mockImplementation((_, type) => void warnings.push(String(type)));
  onTestFinished(() => warned.mockRestore());
  await Promise.all([2 ** 31, Infinity].map((ms) => new Promise((resolve) => setTimeout(resolve, ms))));
  expect(warnings).toContain("TimeoutOverflowWarning");
});

test("an AbortSignal warns of a leak past ten listeners on Node 20, and never on Node 24", () => {
  const listenersMax = getMaxListeners(new AbortController().signal);
  const [major = 0] = process.versions.node.split(".").map(Number);
  if (major < 22) expect(listenersMax).toBe(10);
  else if (major >= 24) expect(listenersMax).toBe(0);
});

test("a view with elements cannot be frozen", () => {
  expect(() => Object.freeze(new Uint8Array(1))).toThrow(TypeError);
});

test("the inspection of a long array without its elements shows its other properties", () => {
  const elementsOnly = { maxArrayLength: 0, depth: 0, customInspect: false, breakLength: Infinity };
  const long = Array.from({ length: 20_000 }, (_, index) => index);
  expect(inspect(long, elementsOnly)).toBe("[ ... 20000 more items ]");
  expect(inspect(Object.assign(long, { name: "x" }), elementsOnly)).not.toBe("[ ... 20000 more items ]");
});

test("the kernel's lock on a file is held by one descriptor, also within one process, and is released when that is closed", () => {
  const folder = mkdtempSync(join(tmpdir(), "lock-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const [first, second] = [1, 2].map(() => openSync(join(folder, "lock"), "a")) as [number, number];
  expect([tryLock(first), tryLock(second)]).toEqual([true, false]);
  closeSync(first);
  expect(tryLock(second)).toBe(true);
  closeSync(second);
});

test("a certificate authority that is not PEM is silently accepted", () => {
  expect(() => createSecureContext({ ca: "no certificate" })).not.toThrow();
});

test("TLS over a connected socket accepts a certificate for localhost from any server, unless a host is given", async () => {
  const { ca, issue } = createAuthority("authority");
  const server = createServer({ ...issue("server", ["localhost"]) }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const authorizes = async (more: { readonly host?: string }) => {
    const socket = dialTls({ socket: dial(port, "127.0.0.1"), ca, ...more });
    try {
      await once(socket, "secureConnect");
      return "authorized";
    } catch (error) {
      return (error as NodeJS.ErrnoException).code;
    } finally {
      socket.destroy();
    }
  };
  expect(await authorizes({})).toBe("authorized");
  expect(await authorizes({ host: "127.0.0.1" })).toBe("ERR_TLS_CERT_ALTNAME_INVALID");
});

test("the context of an AsyncLocalStorage is that of the call that awaits, not of the one that resolves", async () => {
  const storage = new AsyncLocalStorage<string>();
  let resolve: (value: unknown) => void = () => undefined;
  const promise = new Promise((settle) => {
    resolve = settle;
  });
  const seen = storage.run("awaits", async () => {
    await promise;
    return storage.getStore();
  });
  storage.run("resolves", () => resolve(undefined));
  expect(await seen).toBe("awaits");
});

test("fake timers replace the global setTimeout with another function, and performance.now with one that stands still", () => {
  const { setTimeout: real } = globalThis;
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const now = performance.now();
  vi.advanceTimersByTime(1_000);
  expect(globalThis.setTimeout).not.toBe(real);
  expect(performance.now() - now).toBe(1_000);
});
