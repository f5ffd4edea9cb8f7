/** Somebody between clients and their server, who changes what it says. */
import { storagesSubject, storageSubjects } from "../../../actors/protocol/messages.js";
import { createBroker } from "../../../transport/in-process.js";
import type { Transport } from "../../../transport/transport.js";
import type { Log } from "../../../core/index.js";
import type { ServerWorld } from "../../support/server-world.js";

export interface Between {
  /** A transport of a client, which finds the storage server of the world, as told by whoever stands between. */
  connect(log?: Log): Transport;
  /** What is answered to an operation, instead of `bytes`. */
  answer: (operation: string, bytes: Uint8Array) => Uint8Array;
  /** What all clients are told, instead of `bytes`. */
  tell: (bytes: Uint8Array) => readonly Uint8Array[];
  tellTheTruth(): void;
  /** Tells all clients what the server never said. */
  say(bytes: Uint8Array): void;
}

const asItWas = { answer: (_: string, bytes: Uint8Array) => bytes, tell: (bytes: Uint8Array) => [bytes] };

/** Stands between, and tells the truth until it is told otherwise. */
export async function standBetween(world: ServerWorld): Promise<Between> {
  const outside = createBroker({ clock: world.clock });
  const front = outside.connect();
  const back = world.broker.connect();
  const subjects = storageSubjects("test", "main");
  const between: Between = {
    ...asItWas,
    connect: (log) => outside.connect(log),
    tellTheTruth: () => void Object.assign(between, asItWas),
    say: (bytes) => front.publish(subjects.invalidations, bytes),
  };
  for (const subject of [subjects.register, subjects.operation("*", "*"), storagesSubject("test")]) {
    front.subscribe(subject, ({ subject: at, payload, reply }) => {
      if (reply === undefined) return;
      const operation = at.slice(at.lastIndexOf(".") + 1);
      void back.request(at, payload, { timeoutMs: 10_000 }).then(
        (bytes) => reply(between.answer(operation, bytes)),
        // Who asked finds out by the time it waits.
        () => undefined,
      );
    });
  }
  back.subscribe(subjects.invalidations, ({ payload }) => {
    for (const bytes of between.tell(payload)) between.say(bytes);
  });
  await front.flush();
  return between;
}
