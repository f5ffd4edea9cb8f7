/**
 * Connection: one client's link to one storage server, over any broker. One per client, for the client's life.
 *
 *                 LINK_UP        registered           verified
 *     disconnected ────▶ registering ────▶ linked.verifying ────▶ linked.connected (readOnly ◀──▶ readWrite)
 *          ▲             └─────────────────────────────── attached ──────────────────────────────────┘
 *          │ LINK_LOST            ▲                       │                        │
 *      (any state)                │ retryDelay,           │ ATTEMPT_FAILED,        │ ATTEMPT_FAILED,
 *                                 │ refusalDelay,         │ SERVER_LOST, SILENT,   │ for good
 *                                 │ SERVER_HEARD          ▼ WRITER_SHOWN           ▼
 *                                 ├───────────────── backingOff                 refused
 *                                 └────────────────────────────────────────────────┘
 *
 *     CLOSE, in any state ──▶ closed
 *
 * The transport handles addresses: it tries them in turn and reconnects by itself. The link here is the one to a
 * server process.
 *
 * Invariants:
 *
 * 1. A request goes only to the instance that this client is registered with: leaving `attached` drops the link.
 * 2. The server is alive while a heartbeat of that instance arrives within `heartbeatTimeout`. A transport that is up
 *    is not enough.
 * 3. Another instance that proves that it writes has replaced the server: the client registers and verifies again. A
 *    heartbeat alone proves nothing, because any client of the broker can send one: the client asks the instance, and
 *    keeps its link meanwhile. A read-only instance works beside a writer and replaces none. If the writer dies, its
 *    silence shows it.
 * 4. readWrite is entered only when neither the client nor the server is read-only.
 * 5. A refusal for good rejects all waiting calls at once. The client asks again slowly, because an operator may
 *    repair the server. It asks an instance that has not refused as soon as it hears that instance. An instance that
 *    has refused disturbs no link to another one.
 * 6. The client asks an instance that it hears by its name, so that it knows which one refuses. Each heartbeat of
 *    that instance asks again: the first request may be lost, and asking twice opens one session.
 * 7. Heartbeats of instances that do not answer keep no client from its server: after each attempt at a heard
 *    instance comes an attempt at any instance, and no heartbeat redirects or hastens it. If the asked instance is
 *    silent and another one is heard, the next attempt is at any instance.
 *
 * Source: ZEO's asyncio/client.py (Protocol and ClientIO), where register, verify and ready are the same three steps.
 */
import { assign, cancel, fromCallback, fromPromise, raise, setup } from "xstate";
import { eventOf, notProvided, outputOf } from "../shared/stubs.js";
import { cacheVerificationMachine, type CacheVerificationOutput } from "./cache-verification.js";

/** A server process that serves the storage. */
export interface Registration {
  readonly instance: string;
  readonly readOnly: boolean;
}

/** Events of the machine of a client's connection. */
export type ConnectionEvent =
  | { readonly type: "LINK_UP" }
  | { readonly type: "LINK_LOST" }
  /** A heartbeat of any instance arrived. */
  | { readonly type: "SERVER_HEARD"; readonly instance: string; readonly readOnly: boolean }
  /** An instance other than the registered one answered that it writes the storage. */
  | { readonly type: "WRITER_SHOWN"; readonly instance: string }
  /** The registered instance said goodbye, does not answer, or does not know the session. */
  | { readonly type: "SERVER_LOST"; readonly reason: string }
  /** No heartbeat arrived within heartbeatTimeout. The machine raises it. */
  | { readonly type: "SILENT" }
  /** Registering, verifying or keeping alive failed. The machine raises it. */
  | { readonly type: "ATTEMPT_FAILED"; readonly problem: ConnectionProblem }
  | { readonly type: "CLOSE" };

/** Input of the machine of a client's connection. */
export interface ConnectionInput {
  /** The client asked not to write. */
  readonly readOnly: boolean;
  readonly onOtherHistory: "refuse" | "discard";
}

/** Why a client is not connected: an error, or a verification that refused the server. */
export type ConnectionProblem =
  { readonly type: "failed"; readonly error: unknown } | (CacheVerificationOutput & { readonly type: "refused" });

/** Context of the machine of a client's connection. */
export interface ConnectionContext extends ConnectionInput {
  /** The registered instance, as its registration or its last heartbeat described it. */
  readonly registration: Registration | undefined;
  /** Why the last attempt failed; undefined once connected. */
  readonly problem: ConnectionProblem | undefined;
  /** Failures since the client was last connected. */
  readonly failures: number;
  /** The instance that the client asks to register it; undefined: any instance of the storage. */
  readonly asking: string | undefined;
  /** The instance that was heard and asked last did not answer: the next attempt is at any instance. */
  readonly askedInVain: boolean;
  /** Instances that refused, the latest last. The client does not ask them again before refusalDelay. */
  readonly refusing: readonly string[];
}

/** The instance that a client asks to register it; undefined: any instance of the storage. */
export interface Asking {
  readonly instance: string | undefined;
}

/** How a cache was verified. */
export type Verified = (CacheVerificationOutput & { readonly type: "verified" })["how"];

/** Bound of the remembered instances that refused: more than serve one storage within one refusalDelay. */
const refusingMax = 16;

const noteAsking = { type: "noteAsking", params: eventOf } as const;

/** An actor failed: the attempt to connect has failed. */
const failed = {
  actions: {
    type: "failAttempt",
    params: ({ event }: { readonly event: { readonly error: unknown } }) => ({ problem: failure(event.error) }),
  },
} as const;

/** The machine of a client's connection. Its actors, effects and delays are stubs: `actors/client` provides them. */
export const connectionMachine = setup({
  types: {
    context: {} as ConnectionContext,
    events: {} as ConnectionEvent,
    input: {} as ConnectionInput,
    tags: {} as "connected",
    children: {} as { verification: "verify" },
  },
  actors: {
    register: fromPromise<Registration, Asking>(notProvided),
    verify: cacheVerificationMachine,
    keepAlive: fromCallback(() => undefined),
  },
  actions: {
    dropLink: () => undefined,
    askAgain: () => undefined,
    /** Asks the instance whether it writes. Its answer arrives as WRITER_SHOWN. */
    askWhetherItWrites: (_, _params: { readonly instance: string }) => undefined,
    /** Applies the server's invalidations as they arrive, from now on. */
    follow: (_, _params: { readonly how: Verified }) => undefined,
    /** Continues the calls that wait for a link. */
    releaseWaiters: () => undefined,
    /** Rejects the calls that wait for a link. */
    failWaiters: () => undefined,
    /** Ends the wait of a client that opens, and that may work from its cache alone. */
    reportFailure: () => undefined,
    logUnexpected: () => undefined,
    stopListeningForSilence: cancel("silence"),
    listenForSilence: raise({ type: "SILENT" }, { id: "silence", delay: "heartbeatTimeout" }),
    failAttempt: raise((_, { problem }: { readonly problem: ConnectionProblem }): ConnectionEvent => ({ type: "ATTEMPT_FAILED", problem })),
    noteRegistration: assign({ registration: (_, { instance, readOnly }: Registration) => ({ instance, readOnly }) }),
    forgetRegistration: assign({ registration: undefined }),
    noteProblem: assign({ problem: (_, params: { readonly problem: ConnectionProblem }) => params.problem }),
    noteAsking: assign({ asking: (_, params: { readonly instance: string }) => params.instance }),
    askAny: assign({ asking: undefined, askedInVain: false }),
    noteUnanswered: assign({ asking: undefined, askedInVain: ({ context }) => context.asking !== undefined }),
    /** Remembers the instance that refused, if it is known. */
    noteRefusing: assign({
      refusing: ({ context: { refusing, registration, asking } }) => {
        const instance = registration?.instance ?? asking;
        return instance === undefined ? refusing : [...refusing.filter((each) => each !== instance), instance].slice(-refusingMax);
      },
    }),
    countFailure: assign({ failures: ({ context }) => context.failures + 1 }),
    forgetFailures: assign({
      failures: 0,
      problem: undefined,
      refusing: ({ context: { refusing, registration } }) => refusing.filter((each) => each !== registration?.instance),
    }),
  },
  guards: {
    /** The next attempt may succeed although nothing changes at the server. */
    isTransient: (_, _problem: ConnectionProblem) => true,
    isVerified: (_, output: CacheVerificationOutput) => output.type === "verified",
    isAnotherWriter: ({ context: { registration, refusing } }, heard: Registration) =>
      registration?.instance !== heard.instance && !heard.readOnly && !refusing.includes(heard.instance),
    isAnotherInstance: ({ context: { registration, refusing } }, { instance }: { readonly instance: string }) =>
      registration?.instance !== instance && !refusing.includes(instance),
    isRefusing: ({ context }, heard: Registration) => context.refusing.includes(heard.instance),
    asksAnyFirst: ({ context }) => context.asking === undefined && !context.askedInVain,
    isAskedInVain: ({ context }) => context.askedInVain,
    isAsked: ({ context }, heard: Registration) => context.asking === heard.instance,
    isRegistered: ({ context }, heard: Registration) => context.registration?.instance === heard.instance,
    isReadOnly: ({ context }) => isReadOnly(context),
    isWritable: ({ context }) => !isReadOnly(context),
  },
  delays: {
    retryDelay: 0,
    refusalDelay: 0,
    heartbeatTimeout: 0,
  },
}).createMachine({
  id: "connection",
  context: ({ input }) => ({
    ...input,
    registration: undefined,
    problem: undefined,
    failures: 0,
    asking: undefined,
    askedInVain: false,
    refusing: [],
  }),
  initial: "disconnected",
  on: {
    LINK_LOST: ".disconnected",
    CLOSE: ".closed",
    // A late message may come from a server to which the client is no longer linked.
    SERVER_HEARD: {},
    SERVER_LOST: {},
    WRITER_SHOWN: {},
    "*": { actions: "logUnexpected" },
  },
  states: {
    disconnected: {
      on: {
        LINK_UP: { target: "attached", actions: "askAny" },
        LINK_LOST: {},
      },
    },

    attached: {
      initial: "registering",
      exit: "dropLink",
      on: {
        ATTEMPT_FAILED: [
          {
            guard: { type: "isTransient", params: ({ event }) => event.problem },
            target: "backingOff",
            actions: [{ type: "noteProblem", params: eventOf }, "noteUnanswered"],
          },
          { target: "refused", actions: { type: "noteProblem", params: eventOf } },
        ],
      },
      states: {
        registering: {
          entry: "forgetRegistration",
          invoke: {
            src: "register",
            input: ({ context }) => ({ instance: context.asking }),
            onDone: { target: "linked", actions: { type: "noteRegistration", params: outputOf } },
            onError: failed,
          },
          on: {
            SERVER_HEARD: [
              { guard: { type: "isAsked", params: eventOf }, actions: "askAgain" },
              { guard: { type: "isRefusing", params: eventOf } },
              { guard: "asksAnyFirst", target: "registering", reenter: true, actions: noteAsking },
              { guard: "isAskedInVain", actions: "askAgain" },
              { target: "#connection.backingOff", actions: "noteUnanswered" },
            ],
          },
        },

        linked: {
          initial: "verifying",
          entry: ["askAny", "listenForSilence"],
          exit: "stopListeningForSilence",
          invoke: {
            src: "keepAlive",
            onError: failed,
          },
          on: {
            SERVER_LOST: "#connection.backingOff",
            SILENT: "#connection.backingOff",
            WRITER_SHOWN: [
              { guard: { type: "isAnotherInstance", params: eventOf }, target: "#connection.backingOff", actions: noteAsking },
              {},
            ],
            SERVER_HEARD: [
              { guard: { type: "isAnotherWriter", params: eventOf }, actions: { type: "askWhetherItWrites", params: eventOf } },
              {
                guard: { type: "isRegistered", params: eventOf },
                actions: [{ type: "noteRegistration", params: eventOf }, "stopListeningForSilence", "listenForSilence"],
              },
              {},
            ],
          },
          states: {
            verifying: {
              invoke: {
                id: "verification",
                src: "verify",
                input: ({ context }) => ({ onOtherHistory: context.onOtherHistory }),
                onDone: [
                  {
                    guard: { type: "isVerified", params: outputOf },
                    target: "connected",
                    actions: ["forgetFailures", { type: "follow", params: ({ event }) => ({ how: verified(event.output) }) }],
                  },
                  { actions: { type: "failAttempt", params: ({ event }) => ({ problem: problemOf(event.output) }) } },
                ],
                onError: failed,
              },
            },
            connected: {
              tags: "connected",
              // If neither side is read-only, `always` leads on to readWrite in the same step.
              initial: "readOnly",
              entry: "releaseWaiters",
              states: {
                readOnly: { always: { guard: "isWritable", target: "readWrite" } },
                readWrite: { always: { guard: "isReadOnly", target: "readOnly" } },
              },
            },
          },
        },
      },
    },

    backingOff: {
      entry: ["countFailure", "reportFailure"],
      after: { retryDelay: "attached" },
      on: {
        SERVER_HEARD: [
          { guard: "isAskedInVain" },
          { guard: { type: "isRefusing", params: eventOf } },
          { target: "attached", actions: noteAsking },
        ],
      },
    },

    refused: {
      entry: ["noteRefusing", "reportFailure", "failWaiters"],
      after: { refusalDelay: { target: "attached", actions: "askAny" } },
      on: {
        // An instance that refused goes on sending heartbeats. Before the delay is over, only another one is worth
        // asking.
        SERVER_HEARD: [{ guard: { type: "isRefusing", params: eventOf } }, { target: "attached", actions: noteAsking }],
      },
    },

    closed: { type: "final" },
  },
});

function isReadOnly({ readOnly, registration }: ConnectionContext): boolean {
  return readOnly || registration?.readOnly === true;
}

function failure(error: unknown): ConnectionProblem {
  return { type: "failed", error };
}

/** How a verification that succeeded verified the cache. */
function verified(output: CacheVerificationOutput): Verified {
  if (output.type !== "verified") throw new Error("only a verification that succeeded leads to connected");
  return output.how;
}

/** Why a verification that did not succeed refuses the server. */
function problemOf(output: CacheVerificationOutput): ConnectionProblem {
  if (output.type === "verified") throw new Error("a verification that succeeded is no problem");
  return output;
}
