/**
 * Runs one of the two services as a process, from its environment, until SIGTERM or SIGINT.
 *
 *     SERVICE=payments ZOOID_SERVERS=nats://127.0.0.1:4222 node dist/examples/orders/run-service.js
 */
import process from "node:process";
import { z } from "zod";
import { ZooidError } from "../../index.js";
import type { OrderEvent } from "./events.js";
import { startOrderService } from "./order-service.js";
import { startPaymentService } from "./payment-service.js";

const { SERVICE, ZOOID_SERVERS, ZOOID_REALM, BANK_FAILURES, BANK_ANSWER_MS, HEARTBEAT_TIMEOUT_MS } = z
  .object({
    SERVICE: z.enum(["orders", "payments"]),
    ZOOID_SERVERS: z.string().default("nats://127.0.0.1:4222"),
    ZOOID_REALM: z.string().default("orders"),
    /** Share of the bank's answers that are failures. */
    BANK_FAILURES: z.coerce.number().min(0).max(1).default(0.2),
    HEARTBEAT_TIMEOUT_MS: z.coerce.number().int().min(1).optional(),
    BANK_ANSWER_MS: z.coerce.number().int().min(0).default(300),
  })
  .parse(process.env);

/** Prints one line of JSON with the error's code, as `zooid --json` does. */
function fail(error: unknown): never {
  const message = error instanceof Error ? error.message : String(error);
  const code = error instanceof ZooidError ? error.code : undefined;
  process.stderr.write(`${JSON.stringify({ error: { message, code } })}\n`);
  process.exit(1);
}

// The reader of the lines is gone with the parent process, which a watchdog notices.
process.stdout.on("error", () => undefined);
const report = (event: OrderEvent) => void process.stdout.write(`${JSON.stringify(event)}\n`);
const place = { servers: ZOOID_SERVERS, realm: ZOOID_REALM, report, heartbeatTimeoutMs: HEARTBEAT_TIMEOUT_MS };
const starting =
  SERVICE === "orders" ? startOrderService(place) : startPaymentService({ ...place, failures: BANK_FAILURES, answerMs: BANK_ANSWER_MS });
const service = await starting.catch(fail);
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => void service.close());
