import { limits } from "../../core/index.js";
import { eventName, type Facts, type Followed, type SentEvent } from "./followed-actor.js";
import type { ItemOf } from "./frames.js";
import type { FrameSender } from "./frame-sender.js";

/**
 * Records the events of actors when they are handled. XState reports an event when it is sent: a busy actor handles it
 * later, an actor that is not started yet handles it after its start, and one that has ended or is stopped never does.
 *
 * 1. An event is in the record before all else that its actor does because of it, and after the events before it.
 * 2. Steps and snapshots name the event that is handled: they decide which one it is.
 */
export class HandledEvents {
  readonly #sender: FrameSender;

  constructor(sender: FrameSender) {
    this.#sender = sender;
  }

  /** An event was sent to `followed`. */
  sent(followed: Followed, sent: SentEvent): void {
    // XState gives no event to an actor that has ended.
    if (followed.status !== "active") return;
    if (sent.event.type === "xstate.init") {
      // It is handled before the events that were sent to the actor before its start.
      this.#handles(followed, sent);
      return;
    }
    if (followed.waiting.length >= limits.recordEventsWaitingMax) {
      followed.waiting.shift();
      this.#sender.leaveOut("events");
    }
    followed.waiting.push(sent);
  }

  /** `followed` does something: it handles the first event that waits, or still the one before. */
  works(followed: Followed): void {
    if (followed.event !== undefined) return;
    const first = followed.waiting.shift();
    if (first !== undefined) this.#handles(followed, first);
  }

  /**
   * A step or a snapshot names `event`. The first step of an event names it; the next ones may name events that the
   * machine has raised.
   */
  shows(followed: Followed, event: SentEvent["event"]): void {
    const { event: handled, waiting } = followed;
    if (handled?.isShown === true) return;
    if (handled?.event !== event) {
      const index = waiting.findIndex((each) => each.event === event);
      const found = index === -1 ? undefined : waiting.splice(0, index + 1)[index];
      // The event was sent before its actor was followed: the record has its steps only.
      if (found === undefined && handled === undefined) return;
      this.#handles(followed, found ?? { event, source: undefined, from: undefined, isShown: true });
    }
    if (followed.event !== undefined) followed.event.isShown = true;
  }

  /** Records the state of `followed`, which is the effect of its last event in the record. */
  state(followed: Followed, shown: Facts | undefined): void {
    followed.isOpen = false;
    this.#sender.pushState(this.#stateOf(followed, shown));
  }

  /** The event that `followed` handles is done. */
  done(followed: Followed): void {
    followed.event = undefined;
    followed.actions.length = 0;
  }

  #handles(followed: Followed, sent: SentEvent): void {
    followed.event = sent;
    const sender = this.#sender;
    if (!sender.admits("events")) {
      // The next state must not be taken for the effect of an event that had none. No later state may replace this one.
      if (followed.isOpen) sender.push(this.#stateOf(followed, undefined));
      followed.isOpen = false;
      return;
    }
    followed.isOpen = true;
    const { event, source, from } = sent;
    const name = eventName(event.type, source);
    sender.pushAdmitted({ type: "event", ms: sender.ms(), actor: followed.ref, from: from?.ref, event: name });
  }

  #stateOf({ ref: actor, value }: Followed, shown: Facts | undefined): ItemOf<"state"> {
    return { type: "state", ms: this.#sender.ms(), actor, value, shown };
  }
}
