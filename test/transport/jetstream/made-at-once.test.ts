import { expect, test } from "vitest";
import { StreamApi } from "../../../transport/jetstream/api.js";
import { streamNames } from "../../../transport/jetstream/stream-names.js";
import type { HeadedTransport } from "../../../transport/index.js";

test("a stream that another node makes at the same moment is used, even if JetStream refuses the second for its subjects", async () => {
  const names = streamNames("p");
  const found = { created: "2026-01-01T00:00:00Z", state: { first_seq: 1 } };
  let config: unknown;
  const answers = (subject: string, body: string): unknown => {
    if (subject.includes("STREAM.NAMES")) return { streams: [names.stream] };
    if (subject.includes("STREAM.INFO")) {
      return config === undefined ? { error: { code: 404, err_code: 10059, description: "stream not found" } } : { ...found, config };
    }
    config = JSON.parse(body);
    return { error: { code: 400, err_code: 10065, description: "subjects overlap with an existing stream" } };
  };
  const request = (subject: string, payload: Uint8Array) =>
    Promise.resolve(Buffer.from(JSON.stringify(answers(subject, Buffer.from(payload).toString()))));
  const transport = { status: "connected", address: "a", request } as unknown as HeadedTransport;
  const { signal } = new AbortController();
  const api = new StreamApi({ transport, names, replicas: 1, historyMs: 3_600_000, historyMsMin: 1_000, signal });
  await expect(api.findStream()).resolves.toMatchObject({ created: found.created, firstSequence: 1 });
});
