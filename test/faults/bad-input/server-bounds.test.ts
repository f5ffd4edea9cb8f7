/** How much memory and time a client with too many requests can cost a server. */
import { expect, test } from "vitest";
import { encodeMessage, limits, type Tid } from "../../../core/index.js";
import { serverWorld } from "../../support/server-world.js";
import { watched } from "../../support/watched.js";

test("settlements share the bound of waiting commits: past it they are ServerBusyError, and a later request is answered", async () => {
  const world = await serverWorld({ commitQueueMax: 10 });
  const client = await world.client();
  world.disk.held = true;
  const first = watched(client.commit({ writes: { a: "1" } }));
  await world.settled();
  const asked = Array.from({ length: 15 }, (_, index) => watched(client.settle(`never-${index}`)));
  await world.settled();
  const busy = asked.filter(({ state }) => state === "failed");
  expect(busy.map(({ error }) => (error as { code?: string }).code)).toEqual(Array.from({ length: 5 }, () => "ZOOID_SERVER_BUSY"));
  world.disk.held = false;
  world.disk.next().finish();
  await world.settled();
  expect([first.state, ...asked.slice(0, 10).map(({ state }) => state)]).toEqual(Array.from({ length: 11 }, () => "done"));
  const { tid } = (await client.alive()).position;
  expect(await client.settle("never-14", tid)).toEqual({ committed: undefined });
});

test("a commit with the maximum number of ranges is validated in less than half of the heartbeat time-out", async () => {
  const world = await serverWorld();
  const client = await world.client();
  const { tid: snapshot } = await client.commit({ writes: { seed: "1" } });
  const prefix = "a/prefix/that/all/of/them/have/in/common/";
  for (let batch = 0; batch < 10; batch++) {
    const writes = Object.fromEntries(Array.from({ length: 5_000 }, (_, index) => [`${prefix}${batch}/${index}`, ""]));
    await client.commit({ writes, snapshot });
  }
  const ranges = Array.from({ length: limits.transactionRangesMax }, (_, index) => ({
    from: `${prefix}x${index}`,
    to: `${prefix}x${index}~`,
  }));
  const begun = process.cpuUsage();
  await client.commit({ snapshot, ranges, writes: { last: "1" } });
  const { user, system } = process.cpuUsage(begun);
  // Clients take the link for lost when no heartbeat comes for longer than this time-out.
  expect((user + system) / 1_000).toBeLessThan(limits.heartbeatTimeoutMs / 2);
});

test("a message with fields that cannot become text gets MalformedMessageError like any other malformed message", async () => {
  const world = await serverWorld();
  const client = await world.client();
  for (const odd of [{ toString: 0 }, [[]], 2 ** 63, new Uint8Array(9)]) {
    for (const [operation, fields] of Object.entries({
      load: [client.session, 0, [odd]],
      commit: [client.session, "id", 0, true, [odd], [], []],
      vote: [client.session, "id", 0, true, [], [], [odd, null]],
      list: [client.session, 0, odd, null, 1],
      alive: [odd, null],
    })) {
      const answer = await client.raw(operation, encodeMessage(fields));
      expect(Buffer.from(answer).toString(), operation).toContain("MalformedMessageError");
    }
  }
  expect((await client.alive()).position.tid).toBe(0 as Tid);
});
