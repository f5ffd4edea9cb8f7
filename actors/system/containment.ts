/** Keeps the failure of a registered actor from its process. */
import type { AnyActorRef } from "xstate";
import { limits } from "../../core/index.js";

/**
 * What XState has no public way to reach. It throws the error of a failed actor into the process when one of the actor's observers has
 * no `error`, whatever the others have; and it leaves the actors that a failed actor had invoked or spawned running.
 * Source: XState 5.33, `_reportError` and `_stopProcedure` of createActor.
 */
interface Internals {
  readonly observers?: Iterable<{ error?: (error: unknown) => void }>;
  readonly _parent?: AnyActorRef;
  readonly _stop?: () => void;
}

/** One actor, and the actors above it, which fail with it unless they handle its failure. */
export class Containment {
  readonly #subscriptions: readonly { unsubscribe(): void }[];
  #reason: string | undefined;

  /** Calls `failed` once, when the actor or one above it fails. What the failed actor had running is stopped before. */
  constructor(actor: AnyActorRef, failed: (error: unknown) => void) {
    const actors = [...lineage(actor)];
    // Those that are there before this one.
    for (const each of actors) hold(each);
    this.#subscriptions = actors.map((each) =>
      each.subscribe({
        error: (error: unknown) => {
          // Those that came after it: XState has not looked at them yet.
          hold(each);
          stopChildren(each);
          if (this.#reason !== undefined) return;
          this.#reason = reasonOf(error);
          failed(error);
        },
      }),
    );
  }

  /** Why the actor failed, in one line; undefined while it has not failed. */
  get reason(): string | undefined {
    return this.#reason;
  }

  end(): void {
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
  }
}

function* lineage(actor: AnyActorRef): Iterable<AnyActorRef> {
  for (let at: AnyActorRef | undefined = actor; at !== undefined; at = (at as Internals)["_parent"]) yield at;
}

/** Lets no observer that is there now turn a failure of the actor into an exception of the process. */
function hold(actor: AnyActorRef): void {
  for (const observer of (actor as Internals).observers ?? []) observer.error ??= () => undefined;
}

function stopChildren(actor: AnyActorRef): void {
  const { children = {} } = actor.getSnapshot() as { readonly children?: Readonly<Record<string, AnyActorRef | undefined>> };
  for (const child of Object.values(children)) (child as Internals | undefined)?.["_stop"]?.();
}

/** The message of `error`, whatever was thrown, in one line of at most limits.actorReasonLengthMax characters. Never throws. */
export function reasonOf(error: unknown): string {
  let text: string;
  try {
    text = String(error instanceof Error ? error.message : error);
  } catch {
    text = typeof error;
  }
  const line = text.replaceAll(/\s+/g, " ").trim();
  return line.length > limits.actorReasonLengthMax ? `${line.slice(0, limits.actorReasonLengthMax - 1)}…` : line;
}
