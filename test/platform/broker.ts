import { connect, headers as newHeaders, type Msg, type NatsConnection } from "nats";
import { type NatsServer, type NatsServerOptions, startNatsServer } from "../support/nats-server.js";

export type Fields = Readonly<Record<string, unknown>>;

/** The answer of JetStream's API or to a publication: its fields, or its error. */
export type Answer = Fields & { readonly error?: { readonly code: number; readonly err_code?: number; readonly description?: string } };

/** A nats-server with JetStream and a raw connection to it, without any code of Zooid. */
export interface Broker extends AsyncDisposable {
  readonly server: NatsServer;
  readonly connection: NatsConnection;
  /** Whether the server has this version or a later one. */
  isAtLeast(version: string): boolean;
  /** Sends a request to JetStream's API, such as `STREAM.CREATE.x`. */
  ask(subject: string, body?: Fields): Promise<Answer>;
  /** Publishes a message, and returns the answer of its stream. */
  append(subject: string, payload: string, headers?: Readonly<Record<string, string>>): Promise<Answer>;
}

const withJetStream: NatsServerOptions = { config: `jetstream { store_dir: "$folder/data" }` };

export async function startBroker(options = withJetStream): Promise<Broker> {
  const server = await startNatsServer(options);
  const connection = await connect({ servers: server.url, reconnectTimeWait: 20, maxReconnectAttempts: -1 });
  const [major = 0, minor = 0, patch = 0] = numbersOf(connection.info?.version ?? "0.0.0");
  return {
    server,
    connection,
    isAtLeast: (version) => {
      const [otherMajor = 0, otherMinor = 0, otherPatch = 0] = numbersOf(version);
      return (major - otherMajor || minor - otherMinor || patch - otherPatch) >= 0;
    },
    ask: async (subject, body) => {
      const answer = await connection.request(`$JS.API.${subject}`, body === undefined ? "" : JSON.stringify(body));
      return answer.json<Answer>();
    },
    append: async (subject, payload, fields = {}) => {
      const answer = await connection.request(subject, payload, { timeout: 10_000, headers: headed(fields) });
      return answer.json<Answer>();
    },
    [Symbol.asyncDispose]: async () => {
      await connection.close();
      await server.stop();
    },
  };
}

export function headed(fields: Readonly<Record<string, string>>) {
  const headers = newHeaders();
  for (const [name, value] of Object.entries(fields)) headers.set(name, value);
  return headers;
}

/** Collects messages; `reaches` resolves when `count` of them have arrived. */
export function collect(connection: NatsConnection, subject: string): { readonly messages: Msg[]; reaches(count: number): Promise<void> } {
  const messages: Msg[] = [];
  let check = () => {};
  connection.subscribe(subject, {
    callback: (_, message) => {
      messages.push(message);
      check();
    },
  });
  return {
    messages,
    reaches: (count) =>
      new Promise((resolve) => {
        check = () => {
          if (messages.length >= count) resolve();
        };
        check();
      }),
  };
}

const numbersOf = (version: string): readonly number[] => version.split(".").map((part) => Number.parseInt(part, 10));
