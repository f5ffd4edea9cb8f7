/** Parts that the setups of several machines share. */

/** Work of an invoked actor that `actors/` has not provided. Always rejects. */
export const notProvided = (): Promise<never> => Promise.reject(new Error("is provided by the actor"));

/** Parameter of an action or a guard: the error of its event. */
export const errorOf = ({ event }: { readonly event: { readonly error: unknown } }): { readonly error: unknown } => ({
  error: event.error,
});

/** Parameter of an action or a guard: the event itself. */
export const eventOf = <Event>({ event }: { readonly event: Event }): Event => event;

/** Parameter of an action or a guard: the output of the actor that is done. */
export const outputOf = <Output>({ event }: { readonly event: { readonly output: Output } }): Output => event.output;
