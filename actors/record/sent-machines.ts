import type { AnyStateMachine } from "xstate";
import { limits, type Value } from "../../core/index.js";
import { describeMachine } from "../drawing/description.js";
import type { FrameSender } from "./frame-sender.js";

/** Sends the description of each machine once, before the first actor that has it. */
export class SentMachines {
  readonly #sender: FrameSender;
  /** Hashes of the machines that were sent. */
  readonly #sent = new Set<string>();
  /** By configuration, which is the same for all machines that `provide` makes of one. */
  readonly #described = new WeakMap<object, { readonly hash: string; readonly definition: Value }>();

  constructor(sender: FrameSender) {
    this.#sender = sender;
  }

  /** From now on every machine is sent again. */
  forget(): void {
    this.#sent.clear();
  }

  /** Hash of the description of `machine`, which was sent by then; undefined for logic that is no machine. */
  hashOf(machine: AnyStateMachine | undefined): string | undefined {
    if (machine === undefined) return undefined;
    const config = machine.config as object;
    let described = this.#described.get(config);
    if (described === undefined) {
      const definition = describeMachine(machine) as unknown as Value;
      described = { hash: hashOf(JSON.stringify(definition)), definition };
      this.#described.set(config, described);
    }
    if (!this.#sent.has(described.hash)) {
      if (this.#sent.size >= limits.recordMachinesMax) this.#sent.clear();
      this.#sent.add(described.hash);
      this.#sender.push({ type: "machine", ...described });
    }
    return described.hash;
  }
}

/** 64 bits of FNV-1a, as hexadecimal digits: enough that the machines of a realm differ. */
function hashOf(text: string): string {
  let [high, low] = [0x811c9dc5, 0xcbf29ce4];
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    high = Math.imul(high ^ code, 0x01000193);
    low = Math.imul(low ^ (code + index), 0x01000193);
  }
  return [high, low].map((half) => (half >>> 0).toString(16).padStart(8, "0")).join("");
}
