import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Broker, collect, headed, startBroker } from "./broker.js";

let broker: Broker;
beforeAll(async () => {
  broker = await startBroker();
});
afterAll(() => broker[Symbol.asyncDispose]());

let streams = 0;

/**
 * Creates a stream with names of its own, as the bus does: it takes messages on `taken` and republishes them on
 * `repeated`.
 */
async function makeStream(config: Readonly<Record<string, unknown>> = {}) {
  const name = `s${++streams}`;
  const taken = `taken${streams}`;
  const repeated = `repeated${streams}`;
  const answer = await broker.ask(`STREAM.CREATE.${name}`, {
    name,
    subjects: [`${taken}.>`],
    storage: "memory",
    retention: "limits",
    discard: "new",
    max_msgs_per_subject: 1,
    republish: { src: `${taken}.>`, dest: `${repeated}.>` },
    num_replicas: 1,
    ...config,
  });
  return { name, taken, repeated, answer };
}

/** All messages that a consumer from `start` on delivers, until none is left. */
async function deliveredBy(stream: string, start: Readonly<Record<string, unknown>>) {
  const { connection } = broker;
  const subject = `delivered.${stream}.${++streams}`;
  const delivered = collect(connection, subject);
  await connection.flush();
  const created = await broker.ask(`CONSUMER.CREATE.${stream}`, {
    stream_name: stream,
    config: {
      deliver_subject: subject,
      ...start,
      ack_policy: "none",
      max_deliver: 1,
      replay_policy: "instant",
      flow_control: true,
      idle_heartbeat: 100_000_000,
      inactive_threshold: 5_000_000_000,
      mem_storage: true,
      num_replicas: 1,
    },
  });
  expect(created.error).toBeUndefined();
  return delivered;
}

describe("a stream that repeats what it takes", () => {
  test("a repeated message comes before its acknowledgement on the same connection, and its sequence rises by one", async () => {
    const { taken, repeated } = await makeStream();
    const heard = collect(broker.connection, `${repeated}.>`);
    await broker.connection.flush();
    const order: unknown[] = [];
    for (let count = 1; count <= 50; count++) {
      const ack = await broker.append(`${taken}.${count % 7}`, "x");
      order.push([ack["seq"], heard.messages.length]);
    }
    expect(order).toEqual(Array.from({ length: 50 }, (_, index) => [index + 1, index + 1]));
    const sequences = heard.messages.map(({ headers }) => Number(headers?.last("Nats-Sequence")));
    expect(sequences).toEqual(Array.from({ length: 50 }, (_, index) => index + 1));
  });

  test("a repeated message names the sequence of the message that it replaced on its subject, or 0", async () => {
    const { name, taken, repeated } = await makeStream();
    const heard = collect(broker.connection, `${repeated}.>`);
    await broker.connection.flush();
    for (const subject of ["a", "b", "a", "a", "b"]) await broker.append(`${taken}.${subject}`, "x");
    expect(await broker.ask(`STREAM.MSG.DELETE.${name}`, { seq: 5, no_erase: true })).toMatchObject({ success: true });
    await broker.append(`${taken}.b`, "x");
    expect(heard.messages.map(({ headers }) => Number(headers?.last("Nats-Last-Sequence")))).toEqual([0, 0, 1, 3, 2, 0]);
  });

  test("in a repeated message the broker's headers stand after the publisher's headers of the same names", async () => {
    const { name, taken, repeated } = await makeStream();
    const heard = collect(broker.connection, `${repeated}.>`);
    await broker.connection.flush();
    await broker.append(`${taken}.a`, "x", { "Nats-Sequence": "900", "Nats-Stream": "another" });
    await heard.reaches(1);
    const { headers } = heard.messages[0] ?? expect.fail("nothing was repeated");
    expect(headers?.values("Nats-Sequence")).toEqual(["900", "1"]);
    expect(headers?.get("Nats-Sequence")).toBe("900");
    expect(headers?.last("Nats-Stream")).toBe(name);
  });

  test("a repeated message has the time at which the broker took it, but not before nats-server 2.10", async () => {
    const { taken, repeated } = await makeStream();
    const heard = collect(broker.connection, `${repeated}.>`);
    await broker.connection.flush();
    await broker.append(`${taken}.a`, "x");
    await heard.reaches(1);
    const time = heard.messages[0]?.headers?.last("Nats-Time-Stamp") ?? "";
    expect(Number.isFinite(Date.parse(time))).toBe(broker.isAtLeast("2.10.0"));
  });

  test("Nats-Last-Sequence of a repeated message is the last of its own subject, not of the stream", async () => {
    const { taken, repeated } = await makeStream();
    const heard = collect(broker.connection, `${repeated}.>`);
    await broker.connection.flush();
    for (const subject of ["a", "b", "b", "a"]) await broker.append(`${taken}.${subject}`, "x");
    await heard.reaches(4);
    expect(heard.messages.map(({ headers }) => headers?.last("Nats-Last-Sequence"))).toEqual(["0", "0", "2", "1"]);
  });
});

describe("a stream that keeps the last message of each subject", () => {
  test("a second message of a subject replaces the first, also where a full stream refuses new messages", async () => {
    const { name, taken } = await makeStream({ max_msgs: 2 });
    for (const subject of ["a", "b", "a"]) expect((await broker.append(`${taken}.${subject}`, "x")).error).toBeUndefined();
    const { state } = await broker.ask(`STREAM.INFO.${name}`);
    expect(state).toMatchObject({ messages: 2, first_seq: 2, last_seq: 3 });
  });

  test("a full stream with discard new refuses a message of another subject", async () => {
    const { taken } = await makeStream({ max_msgs: 2 });
    for (const subject of ["a", "b"]) await broker.append(`${taken}.${subject}`, "x");
    expect((await broker.append(`${taken}.c`, "x")).error).toMatchObject({ err_code: 10_077 });
  });

  test("a consumer that starts at a superseded sequence delivers the remaining messages after it, in order and numbered from 1", async () => {
    const { name, taken } = await makeStream();
    for (const subject of ["a", "b", "a", "c", "b"]) await broker.append(`${taken}.${subject}`, "x");
    const delivered = await deliveredBy(name, { deliver_policy: "by_start_sequence", opt_start_seq: 1 });
    await delivered.reaches(3);
    const places = delivered.messages.slice(0, 3).map(({ reply }) => (reply ?? "").split("."));
    // $JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>.<number>.<time>.<pending>
    expect(places.map((tokens) => [tokens.length, tokens[0], tokens[1], tokens[2]])).toEqual(places.map(() => [9, "$JS", "ACK", name]));
    expect(places.map((tokens) => [tokens[5], tokens[6], tokens[8]])).toEqual([
      ["3", "1", "2"],
      ["4", "2", "1"],
      ["5", "3", "0"],
    ]);
  });

  test("a consumer with nothing to deliver sends a message with status 100 at every idle heartbeat", async () => {
    const { name } = await makeStream();
    const delivered = await deliveredBy(name, { deliver_policy: "by_start_sequence", opt_start_seq: 1 });
    await delivered.reaches(1);
    const { headers, reply } = delivered.messages[0] ?? expect.fail("it said nothing");
    expect(headers?.code).toBe(100);
    expect(reply ?? "").toBe("");
  });

  test("the shortest idle heartbeat that a consumer may have is 100 ms", async () => {
    const { name } = await makeStream();
    const config = { deliver_subject: "delivered.none", ack_policy: "none", deliver_policy: "all", idle_heartbeat: 99_000_000 };
    expect((await broker.ask(`CONSUMER.CREATE.${name}`, { stream_name: name, config })).error?.description).toContain("100ms");
  });
});

describe("what a stream compares and remembers", () => {
  test("Nats-Expected-Last-Subject-Sequence of 0 means that the subject has no message; a refusal has the code 10071", async () => {
    const { taken } = await makeStream();
    const append = (expected: number) =>
      broker
        .append(`${taken}.a`, "x", { "Nats-Expected-Last-Subject-Sequence": String(expected) })
        .then(({ seq, error }) => error?.err_code ?? seq);
    expect([await append(0), await append(0), await append(1), await append(1)]).toEqual([1, 10_071, 2, 10_071]);
  });

  test("a second message with the same message id is acknowledged as a duplicate, with the sequence of the first", async () => {
    const { taken } = await makeStream();
    const append = () => broker.append(`${taken}.a`, "x", { "Nats-Msg-Id": "id" });
    expect(await append()).toMatchObject({ seq: 1 });
    expect(await append()).toMatchObject({ seq: 1, duplicate: true });
  });

  test("a copy that also expects a last sequence is a duplicate on nats-server 2.9 and 2.10, and refused with 10071 on 2.15", async () => {
    const { taken } = await makeStream();
    const append = () => broker.append(`${taken}.a`, "x", { "Nats-Msg-Id": "id", "Nats-Expected-Last-Subject-Sequence": "0" });
    await append();
    const copy = await append();
    if (broker.isAtLeast("2.15.0")) expect(copy.error?.err_code).toBe(10_071);
    else if (!broker.isAtLeast("2.11.0")) expect(copy).toMatchObject({ seq: 1, duplicate: true });
  });

  test("Nats-Expected-Stream refuses a message that another stream would take", async () => {
    const { taken } = await makeStream();
    expect((await broker.append(`${taken}.a`, "x", { "Nats-Expected-Stream": "another" })).error?.err_code).toBe(10_060);
  });

  test("a stream that is created again counts from 1 and has another creation time", async () => {
    const { name, taken, answer } = await makeStream({ deny_delete: false });
    await broker.append(`${taken}.a`, "x");
    await broker.ask(`STREAM.DELETE.${name}`);
    const config = answer["config"] as Readonly<Record<string, unknown>>;
    const again = await broker.ask(`STREAM.CREATE.${name}`, config);
    expect(again["created"]).not.toBe(answer["created"]);
    expect(await broker.append(`${taken}.a`, "x")).toMatchObject({ seq: 1 });
  });

  test("a request to create an existing stream with other settings does not change it: the answer has the code 10058", async () => {
    const { name, taken } = await makeStream();
    const other = { name, subjects: [`${taken}.>`], storage: "memory", max_age: 60_000_000_000 };
    expect((await broker.ask(`STREAM.CREATE.${name}`, other)).error?.err_code).toBe(10_058);
  });

  test("STREAM.MSG.GET gives the last message of a subject in base64, and the code 10037 where there is none", async () => {
    const { name, taken } = await makeStream();
    for (const payload of ["one", "two"]) await broker.append(`${taken}.a`, payload);
    const { message } = await broker.ask(`STREAM.MSG.GET.${name}`, { last_by_subj: `${taken}.a` });
    expect(message).toMatchObject({ subject: `${taken}.a`, seq: 2, data: Buffer.from("two").toString("base64") });
    expect((await broker.ask(`STREAM.MSG.GET.${name}`, { last_by_subj: `${taken}.b` })).error?.err_code).toBe(10_037);
    expect((await broker.ask("STREAM.INFO.none")).error?.err_code).toBe(10_059);
  });
});

describe("a bucket", () => {
  const bucket = { allow_direct: true, allow_rollup_hdrs: true, discard: "old", republish: undefined };

  test("a direct get gives payload and headers of the last message, and status 404 where there is none", async () => {
    const { name, taken } = await makeStream(bucket);
    await broker.append(`${taken}.a`, "x", { "Zooid-Ttl-Ms": "5" });
    const found = await broker.connection.request(`$JS.API.DIRECT.GET.${name}.${taken}.a`);
    expect(found.string()).toBe("x");
    expect(found.headers?.get("Zooid-Ttl-Ms")).toBe("5");
    expect(found.headers?.last("Nats-Sequence")).toBe("1");
    expect(Date.parse(found.headers?.last("Nats-Time-Stamp") ?? "")).toBeGreaterThan(0);
    const none = await broker.connection.request(`$JS.API.DIRECT.GET.${name}.${taken}.b`);
    expect(none.headers?.code).toBe(404);
  });

  test("STREAM.MSG.DELETE removes the revision that it names, and fails where another has taken its place", async () => {
    const { name, taken } = await makeStream(bucket);
    for (const payload of ["one", "two"]) await broker.append(`${taken}.a`, payload);
    expect((await broker.ask(`STREAM.MSG.DELETE.${name}`, { seq: 1, no_erase: true })).error).toBeDefined();
    expect(await broker.ask(`STREAM.MSG.DELETE.${name}`, { seq: 2, no_erase: true })).toMatchObject({ success: true });
    expect(await broker.append(`${taken}.a`, "three", { "Nats-Expected-Last-Subject-Sequence": "0" })).toMatchObject({ seq: 3 });
  });

  test("nats-server before 2.11 silently ignores allow_msg_ttl and Nats-TTL, and reports no API level", async () => {
    const { taken, answer } = await makeStream({ ...bucket, allow_msg_ttl: true });
    const isKnown = broker.isAtLeast("2.11.0");
    expect(answer.error).toBeUndefined();
    expect((answer["config"] as { readonly allow_msg_ttl?: boolean }).allow_msg_ttl ?? false).toBe(isKnown);
    expect(await broker.append(`${taken}.a`, "x", { "Nats-TTL": "1s" })).toMatchObject({ seq: 1 });
    const { api } = await broker.ask("INFO");
    expect(((api as { readonly level?: number }).level ?? 0) >= 1).toBe(isKnown);
  });

  test("a server that supports a time to live refuses one below one second", async () => {
    const { taken } = await makeStream({ ...bucket, allow_msg_ttl: true });
    const { error } = await broker.append(`${taken}.a`, "x", { "Nats-TTL": "500ms" });
    expect(error !== undefined).toBe(broker.isAtLeast("2.11.0"));
  });
});

test("where JetStream is off, its API has no responders: status 503", async () => {
  await using without = await startBroker({});
  const inbox = "inbox.one";
  const heard = collect(without.connection, inbox);
  await without.connection.flush();
  without.connection.publish("$JS.API.INFO", "", { reply: inbox, headers: headed({}) });
  await heard.reaches(1);
  expect(heard.messages[0]?.headers?.code).toBe(503);
  expect(heard.messages[0]?.data).toHaveLength(0);
});
