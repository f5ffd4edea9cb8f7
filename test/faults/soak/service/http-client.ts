import { once } from "node:events";
import { Agent, type ClientRequest, type IncomingHttpHeaders, type IncomingMessage, request } from "node:http";
import { connect } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { brotliDecompressSync, gunzipSync, inflateSync } from "node:zlib";
import type { Planned } from "./requests.js";

/** A service that sends nothing for this long counts as hanging. */
const answerMsMax = 45_000;

/** A complete, decoded response. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** How a request is sent. */
export interface Manner {
  /** The reader pauses for this long after each part that arrives. */
  readonly partPauseMs?: number;
}

/** Anonymous clients of one service. */
export class HttpClient {
  readonly #url: URL;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 100 });

  constructor(url: string) {
    this.#url = new URL(url);
  }

  /**
   * Rejects when the connection breaks or nothing arrives for long. A service may close an idle connection just when a
   * request is sent on it: a read is then sent again, as browsers do; a write uses a connection of its own.
   */
  async send({ method, path, headers }: Pick<Planned, "method" | "path" | "headers">, { partPauseMs }: Manner = {}): Promise<Answer> {
    const sent = this.#open(method, path, headers, method !== "PUT");
    sent.end();
    try {
      return await answerTo(sent, partPauseMs);
    } catch (error) {
      if (!sent.reusedSocket || (error as NodeJS.ErrnoException).code !== "ECONNRESET") throw error;
      const again = this.#open(method, path, headers, false);
      again.end();
      return answerTo(again, partPauseMs);
    }
  }

  async post(path: string, body: object): Promise<Answer> {
    const text = JSON.stringify(body);
    const sent = this.#open("POST", path, { "content-type": "application/json", "content-length": String(Buffer.byteLength(text)) }, false);
    sent.end(text);
    return answerTo(sent);
  }

  /** Closes the connection after `ms`, whether or not the response is complete. */
  async abort(path: string, ms: number): Promise<void> {
    const sent = this.#open("GET", path, {}, false);
    sent.on("error", () => undefined);
    sent.on("response", (response: IncomingMessage) => response.on("error", () => undefined).resume());
    sent.end();
    await pause(ms);
    sent.destroy();
  }

  /**
   * Sends bytes that may be no valid request. Returns the response when the service closes the connection, or after
   * `ms`.
   */
  async raw(bytes: string, ms: number): Promise<string> {
    const socket = connect(Number(this.#url.port), this.#url.hostname);
    let said = "";
    socket.setEncoding("latin1").on("data", (text: string) => (said += text));
    socket.on("error", () => undefined);
    socket.write(bytes, "latin1");
    const timer = setTimeout(() => socket.destroy(), ms);
    if (!socket.destroyed) await new Promise((resolve) => socket.once("close", resolve));
    clearTimeout(timer);
    return said;
  }

  close(): void {
    this.#agent.destroy();
  }

  #open(method: string, path: string, headers: Readonly<Record<string, string>>, isKeptAlive: boolean): ClientRequest {
    const { hostname, port } = this.#url;
    const sent = request({ hostname, port, method, path, headers, agent: isKeptAlive ? this.#agent : false });
    sent.setTimeout(answerMsMax, () => sent.destroy(new Error(`no answer within ${answerMsMax / 1_000} s`)));
    return sent;
  }
}

async function answerTo(sent: ClientRequest, partPauseMs?: number): Promise<Answer> {
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  const parts: Buffer[] = [];
  for await (const part of response) {
    parts.push(part as Buffer);
    if (partPauseMs !== undefined) await pause(partPauseMs);
  }
  const { headers, statusCode: status = 0 } = response;
  return { status, headers, body: decoded(Buffer.concat(parts), headers["content-encoding"]) };
}

function decoded(body: Buffer, encoding: string | undefined): string {
  switch (encoding) {
    case "gzip":
      return gunzipSync(body).toString();
    case "deflate":
      return inflateSync(body).toString();
    case "br":
      return brotliDecompressSync(body).toString();
    default:
      return body.toString();
  }
}
