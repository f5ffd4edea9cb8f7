import { connect as connectRaw } from "nats";
import { createActorSystem, openTransport } from "../actors/index.js";
import type { lampMachine } from "./lamp-machine.js";
import { compare, inSequence, median } from "./measure.js";
import { Bench } from "./process.js";
import type { Question, Result } from "./report.js";

/** What does an event to an actor of another process cost, with the answer that it has reached its state? */

const count = 2_000;

async function measureAsk(): Promise<Result> {
  const bench = await Bench.open();
  try {
    await bench.start("actor");
    await bench.start("raw");
    const transport = await openTransport({ servers: bench.url });
    const connection = await connectRaw({ servers: bench.url, noAsyncTraces: true });
    const system = createActorSystem({ realm: "bench", transport });
    const lamp = system.remote<typeof lampMachine>("lamp");
    const by = "x".repeat(180);
    let isOn = false;
    let wrong = 0;
    const ask = async () => {
      isOn = !isOn;
      const state = isOn ? "on" : "off";
      const { value } = await lamp.ask({ type: isOn ? "ON" : "OFF", by }, { until: { state } });
      if (value !== state) wrong += 1;
    };
    // The size of a request, as another subscriber gets it.
    const sizes: number[] = [];
    const tap = connection.subscribe("zooid.bench.actor.lamp", { callback: (_, message) => void sizes.push(message.data.length) });
    await connection.flush();
    await ask();
    await connection.flush();
    tap.unsubscribe();
    const payload = Buffer.alloc(sizes[0] ?? 0, 7);
    const echo = () => connection.request("raw.echo", payload, { timeout: 10_000 });
    const microsOf = async (operation: () => Promise<unknown>) => median(await inSequence(count, operation)) * 1_000;
    const result = await compare({
      name: "remote-event",
      unit: "µs",
      count,
      ours: () => microsOf(ask),
      bare: () => microsOf(echo),
      isCorrect: () => wrong === 0 && payload.length > by.length,
    });
    system.close();
    await transport.close();
    await connection.close();
    return result;
  } finally {
    await bench.close();
  }
}

export const remoteEventQuestions: readonly Question[] = [
  {
    name: "remote-event",
    question: "How long does an ask of an actor in another process take, against a raw NATS request of the same size?",
    target: "≤ 1.4×",
    meets: ({ ratio }) => ratio <= 1.4,
    measure: measureAsk,
  },
];
