import type { AnyActor } from "xstate";
import type { Value } from "../../../core/index.js";

/**
 * Gives the actor `name` of a client its address, until the returned function is called. `describe` returns the facts
 * that it shows beside its state.
 */
export type RegisterActor = (name: string, actor: AnyActor, describe: () => Readonly<Record<string, Value>>) => () => void;

type Describe = Parameters<RegisterActor>[2];

/**
 * Shows the machines of a connection at their addresses: its own machine and, while there is one, the machine that
 * verifies the cache.
 */
export class ShownMachines {
  readonly #register: RegisterActor;
  readonly #describeVerification: Describe;
  #verification: AnyActor | undefined;
  #hideVerification: () => void = () => undefined;
  #hideConnection: () => void = () => undefined;

  constructor(register: RegisterActor, describeVerification: Describe) {
    this.#register = register;
    this.#describeVerification = describeVerification;
  }

  showConnection(connection: AnyActor, describe: Describe): void {
    this.#hideConnection = this.#register("connection", connection, describe);
  }

  /** `verification`: the machine that runs now, or undefined. */
  showVerification(verification: AnyActor | undefined): void {
    if (verification === this.#verification) return;
    this.#verification = verification;
    this.#hideVerification();
    this.#hideVerification =
      verification === undefined ? () => undefined : this.#register("cache-verification", verification, this.#describeVerification);
  }

  hide(): void {
    this.showVerification(undefined);
    this.#hideConnection();
  }
}
