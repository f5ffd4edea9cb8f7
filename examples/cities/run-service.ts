/**
 * Runs a city service as a process, from its environment, until SIGTERM or SIGINT.
 *
 *     PORT=4281 NAME=A CACHE=.zooid/city-service node dist/examples/cities/run-service.js
 */
import process from "node:process";
import { z } from "zod";
import { ZooidError } from "../../index.js";
import { startCityService } from "./service.js";

const { NAME, HOST, PORT, NAMES, CACHE, ZOOID_SERVERS, ZOOID_REALM } = z
  .object({
    NAME: z.string().default("city-service"),
    HOST: z.string().default("127.0.0.1"),
    PORT: z.coerce.number().int().min(1).max(65_535).default(4281),
    /** Host names that clients may use, separated by commas. */
    NAMES: z.string().default(""),
    CACHE: z.string().default(".zooid/city-service"),
    ZOOID_SERVERS: z.string().default("nats://127.0.0.1:4222"),
    ZOOID_REALM: z.string().default("zooid"),
  })
  .parse(process.env);

/** Prints one line of JSON with the error's code, as `zooid --json` does. */
function fail(error: unknown): never {
  const message = error instanceof Error ? error.message : String(error);
  const code = error instanceof ZooidError ? error.code : undefined;
  process.stderr.write(`${JSON.stringify({ error: { message, code } })}\n`);
  process.exit(1);
}

const service = await startCityService({
  name: NAME,
  host: HOST,
  port: PORT,
  cache: CACHE,
  servers: ZOOID_SERVERS,
  realm: ZOOID_REALM,
  names: NAMES.split(","),
}).catch(fail);
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => void service.close());
console.log(JSON.stringify({ event: "ready", name: NAME, url: service.url }));
