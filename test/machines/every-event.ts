/** The reaction of a machine to each event in each state, as a table. */
import type { AnyActor } from "xstate";

/** The state as one word: the innermost name. */
export function stateOf(actor: AnyActor): string {
  let value: unknown = (actor.getSnapshot() as { value: unknown }).value;
  while (typeof value === "object" && value !== null) value = Object.values(value)[0];
  return String(value);
}

/**
 * The table by state and event. A cell is `next` or `next action action`: the next state and the actions of the
 * transition. `inState` returns an actor that is in `state`, and the list that its actions write to.
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
