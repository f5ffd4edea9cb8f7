import type { Settle } from "../../../actors/protocol/messages.js";
import type { Codec } from "../../../actors/protocol/codec.js";
import * as wire from "../../../actors/protocol/codec.js";
import type { Position } from "../../../core/transaction.js";
import type { SentMessage } from "../../../testing/published.js";
import { BehindError, ConflictError, ZooidError } from "../../../core/index.js";
import type { World } from "../objects/world.js";

/** Reads all messages: compares what the server promises in them with its disk at that moment. */
export class WireTap {
  readonly #world: World;
  /** Requests for an outcome, by client and number of the request. */
  readonly #asked = new Map<string, Settle>();

  constructor(world: World) {
    this.#world = world;
  }

  take(sent: SentMessage): void {
    try {
      this.#take(sent);
    } catch (error) {
      this.#world.checker.violated(13, "every message can be decoded", { from: sent.from, subject: sent.subject, error: String(error) });
    }
  }

  #take(sent: SentMessage): void {
    if (sent.from === "server") this.#fromServer(sent);
    else if (sent.subject.endsWith(".settle")) this.#asked.set(`${sent.from} ${sent.request}`, wire.settle.read(sent.payload));
  }

  /** Reports each tid, and each "never", to the checker. */
  #fromServer(sent: SentMessage): void {
    const world = this.#world;
    const { subject, payload } = sent;
    const report = (position: Position) => {
      world.checker.sent(subject, position);
    };
    if (subject.endsWith(".invalidations")) {
      const message = wire.broadcast.read(payload);
      if (message.type === "heartbeat") report(message.position);
      if (message.type === "invalidations") for (const transaction of message.transactions) report(transaction);
      if (world.trace !== undefined)
        world.note("server", `⇉ ${sent.to} ${JSON.stringify(message)} ${sent.arrivalsMs.length === 0 ? "lost" : ""}`);
      return;
    }
    if (isError(payload)) {
      this.#refused(subject, payload);
      return;
    }
    const operation = /\.([a-z]+) reply$/.exec(subject)?.[1];
    if (operation === undefined) return;
    const position = positions[operation]?.(payload);
    if (position !== undefined) report(position);
    else if (operation === "settle") {
      const asked = this.#asked.get(`${sent.to} ${sent.request}`);
      if (asked !== undefined) world.checker.saidNever(asked.id, asked.snapshot);
    }
  }

  /** The tid that a refusal names as its reason must be as durable as one in a promise. */
  #refused(subject: string, payload: Uint8Array): void {
    try {
      wire.readAnswer(wire.nothing, payload);
    } catch (error) {
      if (error instanceof ConflictError) this.#world.checker.sentTid(subject, error.current);
      else if (error instanceof BehindError) this.#world.checker.sentTid(subject, error.last);
      else if (!(error instanceof ZooidError)) throw error;
    }
  }
}

/** Whether an answer is an error instead of a result. */
function isError(payload: Uint8Array): boolean {
  return payload[0] === 1;
}

/** By operation: reads the position in its answer, if there is one. */
const positions: Readonly<Record<string, (payload: Uint8Array) => Position | undefined>> = {
  register: answered(wire.registered, (each) => each.position),
  verify: answered(wire.verdict, (each) => each.position),
  load: answered(wire.loadAnswer, (each) => each.asOf),
  list: answered(wire.listAnswer, (each) => each.asOf),
  commit: answered(wire.committed, (each) => each),
  finish: answered(wire.committed, (each) => each),
  settle: answered(wire.settled, (each) => each.committed),
  alive: answered(wire.aliveAnswer, (each) => each.position),
  log: answered(wire.logPage, (each) => each.transactions.at(-1)),
};

function answered<T>(codec: Codec<T>, position: (answer: T) => Position | undefined) {
  return (payload: Uint8Array): Position | undefined => position(wire.readAnswer(codec, payload));
}
