import { errorClass } from "./base.js";

/** The actor does not accept events of this type from outside. */
export class NotAcceptedError extends errorClass({
  code: "ZOOID_NOT_ACCEPTED",
  facts: { actor: "string", event: "string", accepts: "string" },
  message: ({ actor, event, accepts }) =>
    `actor ${actor} does not accept ${event} from outside: it accepts ${accepts === "" ? "nothing" : accepts}`,
}) {}

/** The actor accepts events of this type, but the schema of the type refused the event. */
export class InvalidEventError extends errorClass({
  code: "ZOOID_INVALID_EVENT",
  facts: { actor: "string", event: "string", reason: "string" },
  message: ({ actor, event, reason }) => `event ${event} for actor ${actor} is invalid: ${reason}`,
}) {}

/** No process of the realm has an actor at this address. */
export class NoActorError extends errorClass({
  code: "ZOOID_NO_ACTOR",
  facts: { actor: "string", realm: "string" },
  message: ({ actor, realm }) => `no process of realm ${JSON.stringify(realm)} has an actor at ${actor}`,
}) {}

/**
 * The actor answered before and no longer answers: its process has ended or hangs, or its registration has ended.
 * `isInDoubt`: the event of this request may have been processed.
 */
export class ActorLostError extends errorClass({
  code: "ZOOID_ACTOR_LOST",
  transient: true,
  facts: { actor: "string", isInDoubt: "boolean" },
  message: ({ actor, isInDoubt }) =>
    `actor ${actor} no longer answers: its process has ended or hangs, or its registration has ended` +
    (isInDoubt ? "; the event may have been processed" : ""),
}) {}

/** The actor has an address, but has stopped, is done or has failed (`status`). It takes no more events. */
export class ActorEndedError extends errorClass({
  code: "ZOOID_ACTOR_ENDED",
  facts: { actor: "string", status: "string", reason: "string?" },
  message: ({ actor, status, reason }) => {
    const ended = status === "done" ? "is done" : status === "error" ? "has failed" : "has stopped";
    return `actor ${actor} ${ended} and takes no more events${reason === undefined ? "" : `: ${reason}`}`;
  },
}) {}

/**
 * The actor failed: an action, a guard or an invoked actor threw. Its process goes on. `event`: this event made it
 * fail. Without `event`, it failed before it reached the state that was waited for.
 */
export class ActorFailedError extends errorClass({
  code: "ZOOID_ACTOR_FAILED",
  facts: { actor: "string", event: "string?", reason: "string" },
  message: ({ actor, event, reason }) =>
    event === undefined ? `actor ${actor} failed: ${reason}` : `event ${event} made actor ${actor} fail: ${reason}`,
}) {}

/** The image of a machine cannot be laid out: it has too many states, its layout takes too long, or elkjs failed. */
export class NotDrawnError extends errorClass({
  code: "ZOOID_NOT_DRAWN",
  transient: false,
  facts: { machine: "string", reason: "string" },
  message: ({ machine, reason }) => `machine ${machine} cannot be drawn as an image: ${reason}`,
}) {}
