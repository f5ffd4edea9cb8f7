import { readFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { playScenario } from "../examples/cities/up/scenario.js";
import type { UpEvent } from "../examples/cities/up/report.js";
import { pathOf, ServiceLink } from "../examples/cities/up/service-link.js";
import { systemRandom, systemClock } from "../core/index.js";
import { runZooid } from "./cli/run-zooid.js";
import { freePorts } from "./cli/free-ports.js";
import { ComposedProcess, entrypointOf, readComposeFile, readStage } from "./support/composed.js";
import { temporaryFolders } from "./support/temporary-folder.js";

const { services, volumes } = readComposeFile();
const folder = temporaryFolders();
const processes: ComposedProcess[] = [];

afterAll(() => {
  for (const each of processes) each.kill();
});

describe("docker-compose.yml", () => {
  test("has a broker, a storage server and two services, each after what it needs", () => {
    expect(Object.keys(services)).toEqual(["nats", "storage", "service-a", "service-b"]);
    expect(services["nats"]?.image).toMatch(/^nats:2[\d.]*-alpine$/);
    expect(Object.entries(services).map(([name, { depends_on }]) => [name, depends_on ?? {}])).toEqual([
      ["nats", {}],
      ["storage", { nats: { condition: "service_healthy" } }],
      ["service-a", { storage: { condition: "service_healthy" } }],
      ["service-b", { storage: { condition: "service_healthy" } }],
    ]);
  });

  test("keeps data in its own volumes, and publishes ports on this machine only", () => {
    const named = Object.values(services)
      .flatMap((service) => service.volumes ?? [])
      .map((volume) => volume.split(":")[0] ?? "");
    expect(new Set(named.filter((name) => !name.startsWith("./")))).toEqual(new Set(Object.keys(volumes)));
    const ports = Object.values(services).flatMap((service) => service.ports ?? []);
    expect(ports.filter((port) => !port.startsWith("127.0.0.1:"))).toEqual([]);
  });

  test("has supported images, and a health check for every service", () => {
    const [, major, minor] = (/^nats:(\d+)\.(\d+)-/.exec(services["nats"]?.image ?? "") ?? []).map(Number);
    expect([major, minor]).toEqual([2, expect.toSatisfy((each: number) => each >= 12)]);
    expect(readFileSync("deploy/nats.conf", "utf8")).toMatch(/^ +sync_interval: always$/m);
    const images = [...readFileSync("Dockerfile", "utf8").matchAll(/^FROM (node:\S+)/gm)].map(([, image]) => image);
    expect(new Set(images)).toEqual(new Set(["node:24-bookworm-slim"]));
    for (const [name, { healthcheck }] of Object.entries(services)) expect([name, healthcheck?.test[0]]).toEqual([name, "CMD"]);
  });

  test.each(["zooid", "example"])("the image %s runs in exec form, not as root", (target) => {
    expect(entrypointOf(target)[0]).toBe("node");
    const users = readStage(target).filter(({ instruction }) => instruction === "USER");
    expect(users.at(-1)?.text).toBe("node");
  });

  test("its services, as processes of this machine, play the scenario through HTTP", async () => {
    const [broker = 0, monitor = 0, portA = 0, portB = 0] = await freePorts(4);
    const ports = { "nats:4222": broker, "nats:8222": monitor, "service-a:4281": portA, "service-b:4282": portB };
    const options = { folder: await folder(), ports };
    const [nats, storage, serviceA, serviceB] = (["nats", "storage", "service-a", "service-b"] as const).map(
      (name) => new ComposedProcess(name, services[name] ?? {}, options),
    ) as [ComposedProcess, ComposedProcess, ComposedProcess, ComposedProcess];
    processes.push(serviceA, serviceB, storage, nats);
    const isServing = (line: string) => line.startsWith("zooid serve: ready");
    const isReady = (line: string) => line.startsWith('{"event":"ready"');

    await nats.start((line) => line.includes("Server is ready"));
    expect((await fetch(`http://127.0.0.1:${monitor}/healthz`)).status).toBe(200);
    expect(await (await fetch(`http://127.0.0.1:${monitor}/jsz`)).json()).toMatchObject({
      config: { store_dir: expect.stringContaining(options.folder) as string },
    });
    expect(await storage.checkHealth()).toBe(1);
    await storage.start(isServing);
    expect(await storage.checkHealth()).toBe(0);
    expect(await serviceA.checkHealth()).toBe(1);
    await Promise.all([serviceA.start(isReady), serviceB.start(isReady)]);
    expect(await Promise.all([serviceA.checkHealth(), serviceB.checkHealth()])).toEqual([0, 0]);

    const [a, b] = [new ServiceLink(`http://127.0.0.1:${portA}`), new ServiceLink(`http://127.0.0.1:${portB}`)];
    await Promise.all([a.open(), b.open()]);
    const key = "city/AD/07/Andorra la Vella";
    const city = { name: "Andorra la Vella", country: "AD", admin1: "07", latitude: 42.51, longitude: 1.52 };
    const put = await fetch(b.url + pathOf(key), { method: "PUT", body: JSON.stringify(city) });
    expect(await put.json()).toMatchObject({ key, tid: expect.any(Number) as number });
    const events: UpEvent[] = [];
    await playScenario({
      a,
      b,
      keys: [key],
      server: {
        stop: async () => {
          expect(await storage.stop()).toBe(0);
        },
        start: () => storage.start(isServing),
      },
      broker: {
        stop: async () => void (await nats.stop()),
        start: () => nats.start((line) => line.includes("Server is ready")),
      },
      sleeper: { sleep: async () => serviceA.signal("SIGSTOP"), wake: async () => serviceA.signal("SIGCONT") },
      clock: systemClock,
      random: systemRandom,
      report: (event) => events.push(event),
      signal: new AbortController().signal,
    });
    expect(events).toHaveLength(15);
    // The command that docs/guide/compose.md runs in the container of the storage server.
    const stats = await runZooid(["cache", "stats", "--json", "--wait", "2s"], "", { ZOOID_SERVERS: `nats://127.0.0.1:${broker}` });
    expect(stats.err).toBe("");
    expect(
      stats.out
        .trimEnd()
        .split("\n")
        .map((line) => (JSON.parse(line) as { node: string }).node),
    ).toEqual(["A", "B"]);
    a.close();
    b.close();
    expect(await Promise.all([serviceA.stop(), serviceB.stop()])).toEqual([0, 0]);
    expect(await storage.stop()).toBe(0);
    await nats.stop();
  }, 120_000);
});
