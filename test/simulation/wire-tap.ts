import type { Settle } from "../../actors/messages.js";
import type { Codec } from "../../actors/wire.js";
import * as wire from "../../actors/wire.js";
import type { Position } from "../../storage/transaction.js";
import type { SentMessage } from "../../testing/faulty-network.js";
import { ZooidError } from "../../words/index.js";
import type { World } from "./world.js";

/** Reads along: what the server promises in its messages is held against what is on its disk at that moment. */
export class WireTap {
  readonly #world: World;
  /** What clients asked the outcome of, by client and number of the request. */
  readonly #asked = new Map<string, Settle>();

  constructor(world: World) {
    this.#world = world;
  }

  take(sent: SentMessage): void {
    try {
      this.#take(sent);
    } catch (error) {
      this.#world.checker.violated(13, "what is sent can be read", { from: sent.from, subject: sent.subject, error: String(error) });
    }
  }

  #take(sent: SentMessage): void {
    if (sent.from === "server") this.#fromServer(sent);
    else if (sent.subject.endsWith(".settle")) this.#asked.set(`${sent.from} ${sent.request}`, wire.settle.read(sent.payload));
  }

  /** Tells the checker of each tid, and of each "never". */
  #fromServer(sent: SentMessage): void {
    const world = this.#world;
    const { subject, payload } = sent;
    const tell = (position: Position) => {
      world.checker.told(subject, position);
    };
    if (subject.endsWith(".invalidations")) {
      const message = wire.broadcast.read(payload);
      if (message.type === "heartbeat") tell(message.position);
      if (message.type === "invalidations") for (const transaction of message.transactions) tell(transaction);
      if (world.trace !== undefined)
        world.note("server", `⇉ ${sent.to} ${JSON.stringify(message)} ${sent.arrivalsMs.length === 0 ? "lost" : ""}`);
      return;
    }
    const operation = /\.([a-z]+) reply$/.exec(subject)?.[1];
    if (operation === undefined) return;
    const position = positions[operation]?.(payload);
    if (position !== undefined) tell(position);
    else if (operation === "settle" && isResult(payload)) {
      const asked = this.#asked.get(`${sent.to} ${sent.request}`);
      if (asked !== undefined) world.checker.saidNever(asked.id, asked.snapshot);
    }
  }
}

/** Whether an answer is what was promised, not an error. */
function isResult(payload: Uint8Array): boolean {
  return payload[0] === 0;
}

/** The position in what is promised for an operation, if there is one. */
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
  return (payload: Uint8Array): Position | undefined => {
    try {
      return position(wire.readAnswer(codec, payload));
    } catch (error) {
      // An error that was answered rests on no position.
      if (error instanceof ZooidError) return undefined;
      throw error;
    }
  };
}
