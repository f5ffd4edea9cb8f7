/** Keeps the failure of a registered actor from its process. */
import type { AnyActorRef } from "xstate";
import { limits } from "../../core/index.js";

/**
 * Parts of XState that have no public access. XState throws the error of a failed actor into the process if one of the
 * actor's observers has no `error`, even if the others have one. It also leaves the actors running that a failed actor
 * had invoked or spawned. Source: XState 5.33, `_reportError` and `_stopProcedure` of createActor.
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

  /** Calls `failed` once, when the actor or one above it fails. The failed actor's children are stopped first. */
  constructor(actor: AnyActorRef, failed: (error: unknown) => void) {
    const actors = [...lineage(actor)];
    // The observers that exist before this one.
    for (const each of actors) hold(each);
    this.#subscriptions = actors.map((each) =>
      each.subscribe({
        error: (error: unknown) => {
          // The observers that were added later. XState has not called them yet.
          hold(each);
          stopChildren(each);
          if (this.#reason !== undefined) return;
          this.#reason = reasonOf(error);
          failed(error);
        },
      }),
    );
  }

  /** Why the actor failed, in one line; undefined if it has not failed. */
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

/**
 * Gives every present observer an `error`, so that none of them turns a failure of the actor into an exception of the
 * process.
 */
function hold(actor: AnyActorRef): void {
  for (const observer of (actor as Internals).observers ?? []) observer.error ??= () => undefined;
}

function stopChildren(actor: AnyActorRef): void {
  const { children = {} } = actor.getSnapshot() as { readonly children?: Readonly<Record<string, AnyActorRef | undefined>> };
  for (const child of Object.values(children)) (child as Internals | undefined)?.["_stop"]?.();
}

/**
 * The message of `error`, which may be any value, in one line of at most `limits.actorReasonLengthMax` characters.
 * Never throws.
 */
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
