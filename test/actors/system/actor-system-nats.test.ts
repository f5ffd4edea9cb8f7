import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { createActorSystem } from "../../../actors/system/actor-system.js";
import type { ZooidError } from "../../../core/index.js";
import { connectNats } from "../../../transport/index.js";
import { type NatsServer, startNatsServer } from "../../support/nats-server.js";
import { until } from "../../support/until.js";
import { actorSystemSuite } from "../../suites/actor-system.js";

let server: NatsServer;

beforeAll(async () => {
  server = await startNatsServer();
});

afterAll(async () => {
  await server.stop();
});

actorSystemSuite("NATS", () => connectNats({ servers: server.url }));

test("an actor whose process is killed is lost: a send, a snapshot and a subscription get ActorLostError", async () => {
  const program = join(import.meta.dirname, "gate-process.ts");
  const child = spawn(process.execPath, ["--import", "tsx", program, server.url], { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  await once(child.stdout, "data");
  const transport = await connectNats({ servers: server.url });
  onTestFinished(() => transport.close());
  const system = createActorSystem({ realm: "main", transport });
  onTestFinished(() => system.close());
  const gate = system.remote("gate");
  await gate.send({ type: "OPEN", by: "warden" });
  const [states, losses]: [unknown[], ZooidError[]] = [[], []];
  gate.subscribe(
    ({ value }) => void states.push(value),
    (error) => losses.push(error),
  );
  await until(() => states.length > 0);
  child.kill("SIGKILL");
  // The broker notices the end of the process a moment after it; until then a request gets no answer.
  const codeOf = (asked: Promise<unknown>) => asked.then(String, (error: ZooidError) => error.code);
  await until(async () => (await codeOf(gate.snapshot({ timeoutMs: 1_000 }))) === "ZOOID_ACTOR_LOST");
  expect(await codeOf(gate.send({ type: "CLOSE" }))).toBe("ZOOID_ACTOR_LOST");
  await until(() => losses.length > 0);
  expect([states, losses.map(({ code }) => code)]).toEqual([["open"], ["ZOOID_ACTOR_LOST"]]);
});
