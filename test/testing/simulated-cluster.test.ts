import { describe, expect, test } from "vitest";
import { FaultyNetwork } from "../../testing/faulty-network.js";
import { SimulatedClock } from "../../testing/simulated-clock.js";
import { SimulatedCluster } from "../../testing/simulated-cluster.js";
import { calm } from "../../testing/fault-profile.js";
import { seededRandom } from "../../core/index.js";

const bytes = (text: string) => Buffer.from(text);

/** Two brokers: `a` and `near` are linked to the first, `far` to the second. */
async function setup() {
  const clock = new SimulatedClock();
  const random = seededRandom(1);
  const taken: string[] = [];
  const cluster = new SimulatedCluster({
    clock,
    random,
    size: 2,
    routeMsMin: 10,
    routeMsMax: 50,
    onTaken: ({ payload }) => taken.push(Buffer.from(payload).toString()),
  });
  const network = new FaultyNetwork({ clock, random, profile: { ...calm, delayMsMax: 20 }, brokers: cluster });
  cluster.move("far", 1);
  const [a, near, far] = [network.connect("a"), network.connect("near"), network.connect("far")];
  const heard = { near: [] as string[], far: [] as string[] };
  near.subscribe("x", ({ payload }) => heard.near.push(Buffer.from(payload).toString()));
  far.subscribe("x", ({ payload }) => heard.far.push(Buffer.from(payload).toString()));
  await clock.settle(Promise.all([near.flush(), far.flush()]), 1_000);
  await clock.advance(100);
  return { clock, cluster, a, near, far, heard, taken };
}

describe("simulated cluster", () => {
  test("each link and each route keeps its order", async () => {
    const { clock, a, heard } = await setup();
    const sent = Array.from({ length: 50 }, (_, n) => String(n));
    for (const each of sent) {
      a.publish("x", bytes(each));
      await clock.advance(1);
    }
    await clock.advance(1_000);
    expect(heard).toEqual({ near: sent, far: sent });
  });

  test("a broken route silently loses the messages on it and later ones, until it is mended", async () => {
    const { clock, cluster, a, far, heard, taken } = await setup();
    a.publish("x", bytes("on the route"));
    await clock.until(() => taken.length === 1, 100);
    cluster.breakRoutes();
    a.publish("x", bytes("broken"));
    await clock.advance(100);
    cluster.mendRoutes();
    a.publish("x", bytes("mended"));
    await clock.advance(200);
    expect(heard).toEqual({ near: ["on the route", "broken", "mended"], far: ["mended"] });
    expect(far.status).toBe("connected");
  });

  test("a broker that dies loses messages it has not passed on to other brokers; its own subscribers may get them", async () => {
    const { clock, cluster, a, heard, taken } = await setup();
    a.publish("x", bytes("1"));
    await clock.until(() => taken.length === 1, 100);
    cluster.crash(0);
    await clock.advance(200);
    expect(heard).toEqual({ near: ["1"], far: [] });
  });

  test("publishers overtake each other: each broker delivers in the order of arrival", async () => {
    const { clock, cluster, a, near, far, heard } = await setup();
    for (let n = 0; n < 30; n++) {
      a.publish("x", bytes(`a${n}`));
      far.publish("x", bytes(`far${n}`));
      await clock.advance(5);
    }
    await clock.advance(1_000);
    expect(cluster.brokerOf("far")).toBe(1);
    expect(near.status).toBe("connected");
    expect(heard.near).not.toEqual(heard.far);
    expect(heard.near.toSorted()).toEqual(heard.far.toSorted());
  });

  test("a broker passes nothing on to a subscriber at another broker before it knows of it", async () => {
    const { clock, a, far, heard, taken } = await setup();
    far.subscribe("y", () => heard.far.push("y"));
    await clock.settle(far.flush(), 100);
    a.publish("y", bytes("too early"));
    await clock.until(() => taken.length === 1, 100);
    await clock.advance(100);
    a.publish("y", bytes("y"));
    await clock.advance(200);
    expect(heard.far).toEqual(["y"]);
  });
});
