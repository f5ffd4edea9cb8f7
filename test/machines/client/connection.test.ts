import { createActor, fromCallback, fromPromise } from "xstate";
import { describe, expect, test } from "vitest";
import { cacheVerificationMachine, type Comparison } from "../../../machines/client/cache-verification.js";
import {
  connectionMachine,
  type Asking,
  type ConnectionEvent,
  type ConnectionProblem,
  type Registration,
} from "../../../machines/client/connection.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import { stateOf } from "../every-event.js";

type State = "disconnected" | "registering" | "verifying" | "readWrite" | "readOnly" | "backingOff" | "refused";

interface Settling<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

const upToDate: Comparison = { type: "upToDate", position: { tid: 1, digest: "d" } };

/** A connection whose registration and comparison are settled by the test. */
function connection(options: { readonly readOnly?: boolean } = {}) {
  const done: string[] = [];
  const asked: string[] = [];
  const clock = new SimulatedClock();
  let registering: Settling<Registration> | undefined;
  let comparing: Settling<Comparison> | undefined;
  const machine = connectionMachine.provide({
    actors: {
      register: fromPromise<Registration, Asking>(({ input }) => {
        asked.push(input.instance ?? "any");
        return new Promise((resolve, reject) => (registering = { resolve, reject }));
      }),
      verify: cacheVerificationMachine.provide({
        actors: { compare: fromPromise<Comparison>(() => new Promise((resolve, reject) => (comparing = { resolve, reject }))) },
      }),
      keepAlive: fromCallback(() => {
        done.push("keepAlive");
        return () => done.push("keepAlive ended");
      }),
    },
    actions: {
      dropLink: () => void done.push("dropLink"),
      askAgain: () => void asked.push("again"),
      askWhetherItWrites: (_, { instance }) => void done.push(`ask ${instance}`),
      follow: (_, { how }) => void done.push(`follow ${how}`),
      releaseWaiters: () => void done.push("releaseWaiters"),
      failWaiters: ({ context }) => void done.push(`failWaiters ${context.problem?.type}`),
      reportFailure: () => void done.push("reportFailure"),
      logUnexpected: () => void done.push("logUnexpected"),
    },
    guards: {
      isTransient: (_, problem: ConnectionProblem) => problem.type === "failed" && problem.error === "transient",
    },
    delays: { retryDelay: ({ context }) => 100 * context.failures, refusalDelay: 5_000, heartbeatTimeout: 3_500 },
  });
  const actor = createActor(machine, { id: "connection", clock, input: { readOnly: options.readOnly ?? false, onOtherHistory: "refuse" } });
  actor.start();
  const settled = () => clock.advance(0);
  return {
    actor,
    done,
    asked,
    clock,
    settled,
    registered: async (registration: Registration = { instance: "i", readOnly: false }) => {
      registering?.resolve(registration);
      await settled();
    },
    notRegistered: async (error: unknown) => {
      registering?.reject(error);
      await settled();
    },
    compared: async (comparison: Comparison = upToDate) => {
      comparing?.resolve(comparison);
      await settled();
    },
  };
}

async function inState(state: State, options: { readonly readOnly?: boolean } = {}) {
  const world = connection(options);
  const { actor } = world;
  if (state === "disconnected") return world;
  actor.send({ type: "LINK_UP" });
  if (state === "registering") return world;
  if (state === "backingOff" || state === "refused") {
    await world.notRegistered(state === "backingOff" ? "transient" : "for good");
  } else {
    await world.registered({ instance: "i", readOnly: state === "readOnly" });
    if (state !== "verifying") await world.compared();
  }
  world.done.length = 0;
  return world;
}

const heard = (instance: string, readOnly = false): ConnectionEvent => ({ type: "SERVER_HEARD", instance, readOnly });

const shown = (instance: string): ConnectionEvent => ({ type: "WRITER_SHOWN", instance });

const events: Record<string, ConnectionEvent | { type: "NOT_KNOWN" }> = {
  LINK_UP: { type: "LINK_UP" },
  LINK_LOST: { type: "LINK_LOST" },
  heard: heard("i"),
  "heard read-only": heard("i", true),
  "heard another": heard("j"),
  "heard another read-only": heard("j", true),
  "writer shown": shown("j"),
  SERVER_LOST: { type: "SERVER_LOST", reason: "goodbye" },
  SILENT: { type: "SILENT" },
  CLOSE: { type: "CLOSE" },
  NOT_KNOWN: { type: "NOT_KNOWN" },
};

const dropped = "dropLink keepAlive ended";

/** XState stops an invoked actor after all actions of the step. */
const lost = "backingOff dropLink reportFailure keepAlive ended";

const expected: Record<State, Record<string, string>> = {
  disconnected: {
    LINK_UP: "registering",
    LINK_LOST: "disconnected",
    heard: "disconnected",
    "heard read-only": "disconnected",
    "heard another": "disconnected",
    "heard another read-only": "disconnected",
    "writer shown": "disconnected",
    SERVER_LOST: "disconnected",
    SILENT: "disconnected logUnexpected",
    CLOSE: "closed",
    NOT_KNOWN: "disconnected logUnexpected",
  },
  registering: {
    LINK_UP: "registering logUnexpected",
    LINK_LOST: "disconnected dropLink",
    heard: "registering",
    "heard read-only": "registering",
    "heard another": "registering",
    "heard another read-only": "registering",
    "writer shown": "registering",
    SERVER_LOST: "registering",
    SILENT: "registering logUnexpected",
    CLOSE: "closed dropLink",
    NOT_KNOWN: "registering logUnexpected",
  },
  verifying: {
    LINK_UP: "verifying logUnexpected",
    LINK_LOST: `disconnected ${dropped}`,
    heard: "verifying",
    "heard read-only": "verifying",
    "heard another": "verifying ask j",
    "heard another read-only": "verifying",
    "writer shown": lost,
    SERVER_LOST: lost,
    SILENT: lost,
    CLOSE: `closed ${dropped}`,
    NOT_KNOWN: "verifying logUnexpected",
  },
  readWrite: {
    LINK_UP: "readWrite logUnexpected",
    LINK_LOST: `disconnected ${dropped}`,
    heard: "readWrite",
    "heard read-only": "readOnly",
    "heard another": "readWrite ask j",
    "heard another read-only": "readWrite",
    "writer shown": lost,
    SERVER_LOST: lost,
    SILENT: lost,
    CLOSE: `closed ${dropped}`,
    NOT_KNOWN: "readWrite logUnexpected",
  },
  readOnly: {
    LINK_UP: "readOnly logUnexpected",
    LINK_LOST: `disconnected ${dropped}`,
    heard: "readWrite",
    "heard read-only": "readOnly",
    "heard another": "readOnly ask j",
    "heard another read-only": "readOnly",
    "writer shown": lost,
    SERVER_LOST: lost,
    SILENT: lost,
    CLOSE: `closed ${dropped}`,
    NOT_KNOWN: "readOnly logUnexpected",
  },
  backingOff: {
    LINK_UP: "backingOff logUnexpected",
    LINK_LOST: "disconnected",
    heard: "registering",
    "heard read-only": "registering",
    "heard another": "registering",
    "heard another read-only": "registering",
    "writer shown": "backingOff",
    SERVER_LOST: "backingOff",
    SILENT: "backingOff logUnexpected",
    CLOSE: "closed",
    NOT_KNOWN: "backingOff logUnexpected",
  },
  refused: {
    LINK_UP: "refused logUnexpected",
    LINK_LOST: "disconnected",
    // A registration that failed does not name the instance: the first one heard may not have refused.
    heard: "registering",
    "heard read-only": "registering",
    "heard another": "registering",
    "heard another read-only": "registering",
    "writer shown": "refused",
    SERVER_LOST: "refused",
    SILENT: "refused logUnexpected",
    CLOSE: "closed",
    NOT_KNOWN: "refused logUnexpected",
  },
};

const goodbye: ConnectionEvent = { type: "SERVER_LOST", reason: "goodbye" };

describe("the machine of a connection", () => {
  test.each(Object.keys(expected) as State[])("answers every event in %s", async (state) => {
    const answered: Record<string, string> = {};
    for (const [name, event] of Object.entries(events)) {
      const { actor, done } = await inState(state);
      actor.send(event as ConnectionEvent);
      answered[name] = [stateOf(actor), ...done].join(" ");
    }
    expect(answered).toEqual(expected[state]);
  });

  test("a verified client applies invalidations before its waiting calls go on, once", async () => {
    const { actor, done, compared } = await inState("verifying");
    expect(actor.getSnapshot().hasTag("connected")).toBe(false);
    await compared();
    expect(actor.getSnapshot().hasTag("connected")).toBe(true);
    actor.send(heard("i", true));
    expect(actor.getSnapshot().hasTag("connected")).toBe(true);
    expect(done).toEqual(["follow upToDate", "releaseWaiters"]);
    actor.send(goodbye);
    expect(actor.getSnapshot().hasTag("connected")).toBe(false);
  });

  test("a failure that may pass is reported while calls wait on; a refusal rejects them with its reason", async () => {
    const passing = await inState("registering");
    await passing.notRegistered("transient");
    expect(passing.done).toEqual(["dropLink", "reportFailure"]);
    const refused = await inState("registering");
    await refused.notRegistered("for good");
    expect(refused.done).toEqual(["dropLink", "reportFailure", "failWaiters failed"]);
    const foreign = await inState("verifying");
    await foreign.compared({ type: "otherHistory", position: { tid: 7, digest: "e" } });
    expect(foreign.done).toEqual(["dropLink", "reportFailure", "failWaiters refused", "keepAlive ended"]);
  });

  test("a server that becomes read-only while the cache is verified is read-only once the client is connected", async () => {
    const { actor, compared } = await inState("verifying");
    actor.send(heard("i", true));
    await compared();
    expect(stateOf(actor)).toBe("readOnly");
    actor.send(heard("i"));
    expect(stateOf(actor)).toBe("readWrite");
  });

  test("a server without a heartbeat for the heartbeat time-out is lost; each heartbeat begins the time-out anew", async () => {
    const { actor, clock } = await inState("readWrite");
    for (let beat = 0; beat < 5; beat++) {
      await clock.advance(3_000);
      actor.send({ type: "SERVER_HEARD", instance: "i", readOnly: false });
    }
    await clock.advance(3_499);
    expect(stateOf(actor)).toBe("readWrite");
    await clock.advance(1);
    expect(stateOf(actor)).toBe("backingOff");
  });

  test("backs off longer after each failure, and forgets the failures once verified", async () => {
    const { actor, clock, notRegistered, registered, compared } = await inState("registering");
    await notRegistered("transient");
    await clock.advance(100);
    await notRegistered("transient");
    await clock.advance(199);
    expect(stateOf(actor)).toBe("backingOff");
    await clock.advance(1);
    expect(stateOf(actor)).toBe("registering");
    await registered();
    await compared();
    expect(actor.getSnapshot().context).toMatchObject({ failures: 0, problem: undefined });
  });

  test("a client that asked not to write stays read-only with a server that writes", async () => {
    const { actor } = await inState("readWrite", { readOnly: true });
    expect(stateOf(actor)).toBe("readOnly");
    actor.send({ type: "SERVER_HEARD", instance: "i", readOnly: false });
    expect(stateOf(actor)).toBe("readOnly");
  });

  test("a server of another history is refused and asked again slowly, another instance at once", async () => {
    const { actor, clock, registered, compared } = await inState("verifying");
    await compared({ type: "otherHistory", position: { tid: 7, digest: "e" } });
    expect(stateOf(actor)).toBe("refused");
    actor.send({ type: "SERVER_HEARD", instance: "i", readOnly: false });
    expect(stateOf(actor)).toBe("refused");
    await clock.advance(5_000);
    expect(stateOf(actor)).toBe("registering");
    await registered();
    await compared({ type: "otherHistory", position: { tid: 7, digest: "e" } });
    actor.send({ type: "SERVER_HEARD", instance: "j", readOnly: false });
    expect(stateOf(actor)).toBe("registering");
  });

  test("asks a heard instance by its name, and again at each of its heartbeats", async () => {
    const { actor, asked } = await inState("registering");
    actor.send(heard("i"));
    actor.send(heard("i"));
    expect(asked).toEqual(["any", "i", "again"]);
  });

  test("asks any instance when the asked one is silent and others are heard, and no heartbeat redirects that", async () => {
    const { actor, clock, asked, registered } = await inState("registering");
    for (const instance of ["forged-1", "i", "forged-2"]) actor.send(heard(instance));
    expect(stateOf(actor)).toBe("backingOff");
    await clock.advance(100);
    for (const instance of ["forged-3", "forged-4"]) actor.send(heard(instance));
    expect(asked).toEqual(["any", "forged-1", "any", "again", "again"]);
    await registered();
    expect(stateOf(actor)).toBe("verifying");
  });

  test("after an attempt at an instance without an answer comes one at any instance, and no heartbeat redirects or hastens it", async () => {
    const { actor, clock, asked, notRegistered } = await inState("registering");
    actor.send(heard("forged-1"));
    await notRegistered("transient");
    actor.send(heard("forged-2"));
    expect(stateOf(actor)).toBe("backingOff");
    await clock.advance(100);
    actor.send(heard("forged-3"));
    await notRegistered("transient");
    actor.send(heard("j"));
    expect(asked).toEqual(["any", "forged-1", "any", "again", "j"]);
  });

  test("a server that refused does not disturb the link to another one, and is asked when the other one is lost", async () => {
    const { actor, clock, asked, registered, compared, notRegistered } = await inState("readWrite");
    actor.send(shown("j"));
    await clock.advance(100);
    await notRegistered("for good");
    expect(stateOf(actor)).toBe("refused");
    actor.send(heard("j"));
    expect(stateOf(actor)).toBe("refused");
    actor.send(heard("i"));
    await registered();
    await compared();
    actor.send(heard("j"));
    actor.send(shown("j"));
    expect(stateOf(actor)).toBe("readWrite");
    actor.send(goodbye);
    actor.send(heard("j"));
    expect(stateOf(actor)).toBe("backingOff");
    await clock.advance(100);
    expect(asked).toEqual(["any", "j", "i", "any"]);
  });

  test("heartbeats of a read-only server do not replace those of the writer beside it", async () => {
    const { actor, clock } = await inState("readWrite");
    await clock.advance(2_000);
    actor.send(heard("replica", true));
    await clock.advance(1_500);
    expect(stateOf(actor)).toBe("backingOff");
  });

  test("a client whose registration is refused asks each instance once when it is first heard, then slowly", async () => {
    const { actor, clock, notRegistered } = await inState("refused");
    let asked = 0;
    for (let beat = 0; beat < 25; beat++) {
      for (const instance of ["i", "j"]) {
        actor.send(heard(instance, instance === "j"));
        if (stateOf(actor) === "registering") asked++;
        await notRegistered("for good");
      }
      await clock.advance(1_000);
      if (stateOf(actor) === "registering") asked++;
      await notRegistered("for good");
      expect(stateOf(actor)).toBe("refused");
    }
    expect(asked).toBe(2 + 25 / 5);
    actor.send(heard("k"));
    expect(stateOf(actor)).toBe("registering");
  });
});
