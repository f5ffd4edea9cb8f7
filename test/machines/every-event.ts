/** What a machine does with each event in each state, as a table. A cell is the next state and the actions on the way. */
import type { AnyActor } from "xstate";

/** The state as one word: the innermost name. */
export function stateOf(actor: AnyActor): string {
  let value: unknown = (actor.getSnapshot() as { value: unknown }).value;
  while (typeof value === "object" && value !== null) value = Object.values(value)[0];
  return String(value);
}

/**
 * `inState` returns an actor that has come to rest in `state`, and the list that its actions write to.
 * A cell is `next` or `next action action`.
 */
export function answers<Event extends { readonly type: string }>(
  inState: (state: string) => { readonly actor: AnyActor; readonly done: string[] },
  states: readonly string[],
  events: readonly Event[],
): Record<string, Record<string, string>> {
  const table: Record<string, Record<string, string>> = {};
  for (const state of states) {
    const row: Record<string, string> = (table[state] = {});
    for (const event of events) {
      const { actor, done } = inState(state);
      done.length = 0;
      actor.send(event);
      row[event.type] = [stateOf(actor), ...done].join(" ");
      actor.stop();
    }
  }
  return table;
}
