/** Shows every event that an actor of XState handles, at the moment at which it begins. */
import { Actor, type AnyActorRef, type EventObject } from "xstate";

/** Called around the handling of `event`. */
export type OnHandled = (actor: AnyActorRef, event: EventObject, handle: () => void) => void;

const taps = new WeakMap<object, OnHandled>();

interface Handling {
  _process(this: AnyActorRef, event: EventObject): void;
}

// XState has no inspection event for the moment at which an event is taken from a mailbox.
const prototype = Actor.prototype as unknown as Handling;
const handle = prototype["_process"];
prototype["_process"] = function (event) {
  const tap = taps.get(this.system);
  if (tap === undefined) handle.call(this, event);
  else tap(this, event, () => handle.call(this, event));
};

/** From now on events of all actors of `system` pass through `onHandled`. */
export function tapHandled(system: AnyActorRef["system"], onHandled: OnHandled): void {
  taps.set(system, onHandled);
}
