/**
 * Connection: one client's link to one storage server, over any broker. One per client, for the client's life.
 *
 *                 LINK_UP              registered            verified
 *     disconnected ────▶ registering ────────▶ linked.verifying ────▶ linked.readWrite ◀──▶ linked.readOnly
 *          ▲                 │ ▲  └──────refused, for good──────┐        │
 *          │ LINK_LOST       │ │ retryDelay, SERVER_HEARD       ▼        │ SERVER_LOST, SILENT,
 *      (any state)           ▼ │                             refused     │ WRITER_SHOWN
 *                        backingOff ◀────────────────────────────────────┘
 *
 *     CLOSE, in any state ──▶ closed
 *
 * Addresses are the transport's affair: it tries them in turn and reconnects by itself. The link here is to a server process.
 *
 * Invariants:
 *
 * 1. A request goes only to the instance that this client is registered with: leaving `registering` or `linked` drops the link.
 * 2. Alive means a heartbeat of that instance within `heartbeatTimeout`; a transport that is up is not enough.
 * 3. Another instance that shows that it writes has replaced the server: register and verify again. Its heartbeat alone shows nothing, for
 *    anybody may have sent it: the instance is asked, and the link stands meanwhile. A read-only one stands beside a writer and replaces
 *    none: were the writer gone, its silence would tell.
 * 4. readWrite is entered only when neither the client nor the server is read-only.
 * 5. A refusal for good rejects at once all calls that wait, and is asked about again slowly: an operator may have repaired the server.
 *    An instance that has not refused is asked as soon as it is heard; one that has refused disturbs no link to another.
 * 6. An instance that was heard is asked itself, so that it is known which one refuses. Each heartbeat of it asks again: the first
 *    request may be lost, and to ask twice opens one session.
 * 7. Heartbeats of instances that do not answer keep nobody from the server: after each attempt at one that was heard comes an attempt at
 *    any, which no heartbeat redirects or hastens. While the one that is asked says nothing and another one is heard, it is any one's turn.
 *
 * Source: ZEO's asyncio/client.py (Protocol and ClientIO), where register, verify and ready are the same three steps.
 */
import { assign, cancel, fromCallback, fromPromise, raise, setup } from "xstate";
import { cacheVerificationMachine, type CacheVerificationOutput } from "./cache-verification.js";

/** What a server process answered to a client that registered. */
export interface Registration {
  readonly instance: string;
  readonly readOnly: boolean;
}

/** What the machine of a client's connection is told. */
export type ConnectionEvent =
  | { readonly type: "LINK_UP" }
  | { readonly type: "LINK_LOST" }
  /** A heartbeat, of whatever instance. */
  | { readonly type: "SERVER_HEARD"; readonly instance: string; readonly readOnly: boolean }
  /** An instance that is not the registered one answered that it writes the storage. */
  | { readonly type: "WRITER_SHOWN"; readonly instance: string }
  /** The registered instance said goodbye, does not answer, or does not know the session. */
  | { readonly type: "SERVER_LOST"; readonly reason: string }
  /** No heartbeat for heartbeatTimeout. The machine tells itself. */
  | { readonly type: "SILENT" }
  | { readonly type: "CLOSE" };

/** What the machine of a client's connection begins with. */
export interface ConnectionInput {
  /** The client asked not to write. */
  readonly readOnly: boolean;
  readonly onOtherHistory: "refuse" | "discard";
}

/** Why it is not connected: an error, or a verification that refused the server. */
export type ConnectionProblem =
  { readonly type: "failed"; readonly error: unknown } | (CacheVerificationOutput & { readonly type: "refused" });

/** What the machine of a client's connection remembers. */
export interface ConnectionContext extends ConnectionInput {
  readonly registration: Registration | undefined;
  readonly problem: ConnectionProblem | undefined;
  /** How the cache was verified last. */
  readonly verification: CacheVerificationOutput | undefined;
  /** Failures since the last time it was connected. */
  readonly failures: number;
  /** The instance that is asked to register this client; undefined: any that serves the storage. */
  readonly asking: string | undefined;
  /** The instance that was heard and asked last did not answer: any one is asked next, whatever is heard. */
  readonly askedInVain: boolean;
  /** Instances that refused, the latest last: not worth asking before refusalDelay. */
  readonly refusing: readonly string[];
}

/** Which instance is asked to register a client; undefined: any that serves the storage. */
export interface Asking {
  readonly instance: string | undefined;
}

/** Instances that are remembered as refusing: more than serve one storage within any refusal. */
const refusingMax = 16;

const notProvided = () => Promise.reject(new Error("provided by actors/"));

/** The machine of a client's connection; actors, effects and delays are provided where it runs. */
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
    /** Asks the instance whether it writes; what it answers comes as WRITER_SHOWN. */
    askWhetherItWrites: (_, _params: { readonly instance: string }) => undefined,
    logUnexpected: () => undefined,
    stopListeningForSilence: cancel("silence"),
    listenForSilence: raise({ type: "SILENT" }, { id: "silence", delay: "heartbeatTimeout" }),
    noteRegistration: assign({ registration: (_, params: { readonly registration: Registration }) => params.registration }),
    forgetRegistration: assign({ registration: undefined }),
    noteVerification: assign({ verification: (_, params: { readonly verification: CacheVerificationOutput }) => params.verification }),
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
    /** Another try may succeed with nothing changed at the server. */
    isTransient: (_, _problem: ConnectionProblem) => true,
    isVerified: (_, output: CacheVerificationOutput) => output.type === "verified",
    isVerifiedReadOnly: ({ context }, output: CacheVerificationOutput) =>
      output.type === "verified" && (context.readOnly || context.registration?.readOnly === true),
    isAnotherWriter: ({ context: { registration, refusing } }, heard: Registration) =>
      registration?.instance !== heard.instance && !heard.readOnly && !refusing.includes(heard.instance),
    isAnotherInstance: ({ context: { registration, refusing } }, { instance }: { readonly instance: string }) =>
      registration?.instance !== instance && !refusing.includes(instance),
    isRefusing: ({ context }, heard: Registration) => context.refusing.includes(heard.instance),
    asksAnyFirst: ({ context }) => context.asking === undefined && !context.askedInVain,
    isAskedInVain: ({ context }) => context.askedInVain,
    isAsked: ({ context }, heard: Registration) => context.asking === heard.instance,
    isRegistered: ({ context }, heard: Registration) => context.registration?.instance === heard.instance,
    isReadOnlyNow: ({ context }, heard: Registration) => context.registration?.instance === heard.instance && heard.readOnly,
    isWritableNow: ({ context }, heard: Registration) =>
      context.registration?.instance === heard.instance && !heard.readOnly && !context.readOnly,
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
    verification: undefined,
    failures: 0,
    asking: undefined,
    askedInVain: false,
    refusing: [],
  }),
  initial: "disconnected",
  on: {
    LINK_LOST: ".disconnected",
    CLOSE: ".closed",
    "*": { actions: "logUnexpected" },
  },
  states: {
    disconnected: {
      on: {
        LINK_UP: { target: "registering", actions: "askAny" },
        // What was under way when the link went down tells so in its own time; and a last message may still be in line.
        SERVER_LOST: {},
        SERVER_HEARD: {},
        WRITER_SHOWN: {},
        LINK_LOST: {},
      },
    },

    registering: {
      entry: "forgetRegistration",
      invoke: {
        src: "register",
        input: ({ context }) => ({ instance: context.asking }),
        onDone: { target: "linked", actions: { type: "noteRegistration", params: ({ event }) => ({ registration: event.output }) } },
        onError: [
          {
            guard: { type: "isTransient", params: ({ event }) => ({ type: "failed", error: event.error }) },
            target: "backingOff",
            actions: [
              { type: "noteProblem", params: ({ event }) => ({ problem: { type: "failed" as const, error: event.error } }) },
              "noteUnanswered",
              "dropLink",
            ],
          },
          {
            target: "refused",
            actions: [
              { type: "noteProblem", params: ({ event }) => ({ problem: { type: "failed" as const, error: event.error } }) },
              "dropLink",
            ],
          },
        ],
      },
      on: {
        LINK_LOST: { target: "disconnected", actions: "dropLink" },
        CLOSE: { target: "closed", actions: "dropLink" },
        SERVER_LOST: {},
        SERVER_HEARD: [
          { guard: { type: "isAsked", params: ({ event }) => event }, actions: "askAgain" },
          { guard: { type: "isRefusing", params: ({ event }) => event } },
          {
            guard: "asksAnyFirst",
            target: "registering",
            reenter: true,
            actions: { type: "noteAsking", params: ({ event }) => event },
          },
          { guard: "isAskedInVain", actions: "askAgain" },
          { target: "backingOff", actions: ["noteUnanswered", "dropLink"] },
        ],
        WRITER_SHOWN: {},
      },
    },

    linked: {
      initial: "verifying",
      entry: ["askAny", "listenForSilence"],
      exit: ["stopListeningForSilence", "dropLink"],
      invoke: {
        src: "keepAlive",
        onError: {
          target: "backingOff",
          actions: { type: "noteProblem", params: ({ event }) => ({ problem: { type: "failed" as const, error: event.error } }) },
        },
      },
      on: {
        SERVER_LOST: "backingOff",
        SILENT: "backingOff",
        WRITER_SHOWN: [
          {
            guard: { type: "isAnotherInstance", params: ({ event }) => event },
            target: "backingOff",
            actions: { type: "noteAsking", params: ({ event }) => event },
          },
          {},
        ],
        SERVER_HEARD: [
          {
            guard: { type: "isAnotherWriter", params: ({ event }) => event },
            actions: { type: "askWhetherItWrites", params: ({ event }) => event },
          },
          {
            guard: { type: "isRegistered", params: ({ event }) => event },
            actions: ["stopListeningForSilence", "listenForSilence"],
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
                guard: { type: "isVerifiedReadOnly", params: ({ event }) => event.output },
                target: "readOnly",
                actions: ["forgetFailures", { type: "noteVerification", params: ({ event }) => ({ verification: event.output }) }],
              },
              {
                guard: { type: "isVerified", params: ({ event }) => event.output },
                target: "readWrite",
                actions: ["forgetFailures", { type: "noteVerification", params: ({ event }) => ({ verification: event.output }) }],
              },
              {
                guard: { type: "isTransient", params: ({ event }) => problemOf(event.output) },
                target: "#connection.backingOff",
                actions: { type: "noteProblem", params: ({ event }) => ({ problem: problemOf(event.output) }) },
              },
              {
                target: "#connection.refused",
                actions: { type: "noteProblem", params: ({ event }) => ({ problem: problemOf(event.output) }) },
              },
            ],
            onError: {
              target: "#connection.backingOff",
              actions: { type: "noteProblem", params: ({ event }) => ({ problem: { type: "failed" as const, error: event.error } }) },
            },
          },
        },
        readWrite: {
          tags: "connected",
          on: {
            SERVER_HEARD: {
              guard: { type: "isReadOnlyNow", params: ({ event }) => event },
              target: "readOnly",
              actions: ["stopListeningForSilence", "listenForSilence"],
            },
          },
        },
        readOnly: {
          tags: "connected",
          on: {
            SERVER_HEARD: {
              guard: { type: "isWritableNow", params: ({ event }) => event },
              target: "readWrite",
              actions: ["stopListeningForSilence", "listenForSilence"],
            },
          },
        },
      },
    },

    backingOff: {
      entry: "countFailure",
      after: { retryDelay: "registering" },
      on: {
        SERVER_HEARD: [
          { guard: "isAskedInVain" },
          { guard: { type: "isRefusing", params: ({ event }) => event } },
          { target: "registering", actions: { type: "noteAsking", params: ({ event }) => event } },
        ],
        SERVER_LOST: {},
        WRITER_SHOWN: {},
      },
    },

    refused: {
      entry: "noteRefusing",
      after: { refusalDelay: { target: "registering", actions: "askAny" } },
      on: {
        // An instance that refused goes on sending heartbeats; only another one is worth asking before the delay is over.
        SERVER_HEARD: [
          { guard: { type: "isRefusing", params: ({ event }) => event } },
          { target: "registering", actions: { type: "noteAsking", params: ({ event }) => event } },
        ],
        SERVER_LOST: {},
        WRITER_SHOWN: {},
      },
    },

    closed: { type: "final" },
  },
});

/** Why the server was not taken, of a verification that did not end in `verified`. */
function problemOf(output: CacheVerificationOutput): ConnectionProblem {
  switch (output.type) {
    case "refused":
    case "failed":
      return output;
    case "verified":
      throw new Error("a verified cache is no problem");
  }
}
