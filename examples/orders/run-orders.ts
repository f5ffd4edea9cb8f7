import { join } from "node:path";
import process from "node:process";
import { createActorSystem, createBroker, openTransport, serveBroker } from "../../actors/index.js";
import { delay, systemClock } from "../../core/index.js";
import { ZooidError } from "../../index.js";
import { CommandError } from "../../cli/failure.js";
import type { Surroundings } from "../../cli/surroundings.js";
import { makeFolder } from "../../storage/kv/make-folder.js";
import { Child } from "../cities/up/child.js";
import { findNatsServer, howToGetNatsServer } from "../cities/up/find-nats-server.js";
import { KeptService, type ShownEvent } from "./kept-service.js";
import type { clerkMachine } from "./order-machine.js";
import { lineOf } from "./show.js";

/** Flags of `npm run orders`. */
export interface OrdersFlags {
  readonly port: number;
  readonly broker: "auto" | "nats" | "in-process";
  readonly data: string;
  readonly every: number;
  /** Ends after so many orders were shipped; 0: never. */
  readonly orders: number;
  readonly bankFailures: number;
  readonly json?: boolean;
}

const host = "127.0.0.1";
const realm = "orders";

/** Runs a broker, both services and a customer, until a signal or the last order ends them. */
export async function runOrders(flags: OrdersFlags, { out, signal: interrupted, say }: Surroundings): Promise<void> {
  const clock = systemClock;
  const finished = new AbortController();
  const signal = AbortSignal.any([interrupted, finished.signal]);
  const closings: (() => unknown)[] = [];
  let shipped = 0;
  const show = (event: ShownEvent) => {
    if (event.event === "state" && event.state === "shipped") shipped += 1;
    if (flags.orders > 0 && shipped >= flags.orders) finished.abort(new Error("the last order was shipped"));
    const line = flags.json === true ? JSON.stringify(event) : lineOf(event);
    if (line !== undefined) void out.line(line);
  };
  try {
    const logs = join(flags.data, "logs");
    makeFolder(logs);
    const { servers, close } = await startBroker(flags, logs, say);
    closings.push(close);
    signal.throwIfAborted();
    const env = { ZOOID_SERVERS: servers, ZOOID_REALM: realm, BANK_FAILURES: String(flags.bankFailures) };
    const services = (["payments", "orders"] as const).map((service) => new KeptService({ service, env, logs, clock, show }));
    // The order service ends first, so that no order loses its payment at the end.
    closings.push(async () => {
      for (const service of services.toReversed()) await service.stop();
    });
    const stop = () => services.forEach((service) => service.kill());
    process.once("exit", stop);
    closings.push(() => process.off("exit", stop));
    await Promise.race([Promise.all(services.map((service) => service.start())), aborted(signal)]);
    if (flags.json !== true) {
      for (const line of hints(servers)) await out.line(line);
    }
    await order(flags, servers, signal, say);
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    for (const close of closings.toReversed()) await close();
  }
}

/** Sends an order to the clerk again and again, until the signal. */
async function order(flags: OrdersFlags, servers: string, signal: AbortSignal, say: (line: string) => void): Promise<void> {
  const transport = await openTransport({ servers, name: "customer" });
  const system = createActorSystem({ realm, transport });
  const clerk = system.remote<typeof clerkMachine>("orders/clerk");
  // Numbers go on from run to run.
  const run = Date.now().toString(36);
  try {
    for (let number = 1; !signal.aborted; number++) {
      const amount = 10 + (number % 90);
      await clerk.send({ type: "ORDER", id: `${run}-${number}`, amount }, { signal }).catch((error: unknown) => {
        if (!(error instanceof ZooidError)) throw error;
        say(`orders: order ${run}-${number} was not taken (${error.code})`);
      });
      await delay(systemClock, flags.every, signal);
    }
  } finally {
    system.close();
    await transport.close();
  }
}

async function startBroker(
  { broker: kind, port }: OrdersFlags,
  logs: string,
  say: (line: string) => void,
): Promise<{ readonly servers: string; readonly close: () => Promise<unknown> }> {
  const natsServer = kind === "in-process" ? undefined : findNatsServer(process.env);
  if (natsServer === undefined) {
    if (kind === "nats") throw new CommandError("ZOOID_USAGE", `there is no nats-server for --broker nats: ${howToGetNatsServer}`);
    if (kind === "auto") say("orders: no nats-server was found; this command is the broker");
    const served = await serveBroker({ broker: createBroker(), host, port });
    return { servers: served.url, close: () => served.close() };
  }
  const child = new Child({
    name: "broker",
    run: { command: natsServer },
    flags: ["--addr", host, "--port", String(port)],
    logFile: join(logs, "nats-server.log"),
    isReady: (line) => line.includes("Server is ready"),
    clock: systemClock,
  });
  await child.ready.catch(async (error: unknown) => {
    await child.stop();
    throw error;
  });
  return { servers: `nats://${host}:${port}`, close: () => child.stop() };
}

function hints(servers: string): readonly string[] {
  return [
    "",
    "In another terminal:",
    `  npx zooid top --realm ${realm} --servers ${servers}`,
    `  npx zooid status --realm ${realm} --servers ${servers}`,
    `  npx zooid machines orders/clerk --realm ${realm} --servers ${servers}`,
    "  kill -9 <process>        # either service: it is started again, and orders ask for their payments again",
    "Ctrl-C ends it.",
    "",
  ];
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}
