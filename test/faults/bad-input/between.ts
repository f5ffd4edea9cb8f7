/** A relay between clients and their server. It can change answers and broadcasts. */
import { storagesSubject, storageSubjects } from "../../../actors/protocol/messages.js";
import { createBroker } from "../../../transport/in-process.js";
import type { Transport } from "../../../transport/transport.js";
import type { Log } from "../../../core/index.js";
import type { ServerWorld } from "../../support/server-world.js";

export interface Between {
  /** A client's transport, through the relay, to the storage server of the world. */
  connect(log?: Log): Transport;
  /** Changes the answer `bytes` to an operation. */
  answer: (operation: string, bytes: Uint8Array) => Uint8Array;
  /** Replaces the broadcast `bytes` by these messages, for all clients. */
  broadcast: (bytes: Uint8Array) => readonly Uint8Array[];
  changeNothing(): void;
  /** Publishes a message to all clients that the server never sent. */
  publish(bytes: Uint8Array): void;
}

const unchanged = { answer: (_: string, bytes: Uint8Array) => bytes, broadcast: (bytes: Uint8Array) => [bytes] };

/** Starts a relay that changes nothing until the test sets `answer` or `broadcast`. */
export async function standBetween(world: ServerWorld): Promise<Between> {
  const outside = createBroker({ clock: world.clock });
  const front = outside.connect();
  const back = world.broker.connect();
  const subjects = storageSubjects("test", "main");
  const between: Between = {
    ...unchanged,
    connect: (log) => outside.connect(log),
    changeNothing: () => void Object.assign(between, unchanged),
    publish: (bytes) => front.publish(subjects.invalidations, bytes),
  };
  for (const subject of [subjects.register, subjects.operation("*", "*"), storagesSubject("test")]) {
    front.subscribe(subject, ({ subject: at, payload, reply }) => {
      if (reply === undefined) return;
      const operation = at.slice(at.lastIndexOf(".") + 1);
      void back.request(at, payload, { timeoutMs: 10_000 }).then(
        (bytes) => reply(between.answer(operation, bytes)),
        // The request of the client times out by itself.
        () => undefined,
      );
    });
  }
  back.subscribe(subjects.invalidations, ({ payload }) => {
    for (const bytes of between.broadcast(payload)) between.publish(bytes);
  });
  await front.flush();
  return between;
}
