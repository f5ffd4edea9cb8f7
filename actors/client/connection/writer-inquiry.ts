import { limits, NotAuthorizedError } from "../../../core/index.js";
import { askForWriter, type WriterDeps } from "../../protocol/another-writer.js";
import { storageSubjects } from "../../protocol/messages.js";

/** Dependencies of a WriterInquiry. */
export interface WriterInquiryDeps extends Pick<WriterDeps, "realm" | "storage" | "transport" | "random" | "log"> {
  /** Facts about the client that asks, for the log. */
  readonly who: () => object;
  /** Called when `instance` has answered that it writes. */
  readonly onShown: (instance: string) => void;
}

/**
 * Asks servers whose heartbeats a client hears whether they write. Any client of the broker can send a heartbeat: only
 * an answer shows that the server is there.
 */
export class WriterInquiry {
  readonly #deps: WriterInquiryDeps;
  /** Instances whose answer is awaited. */
  readonly #asked = new Set<string>();
  /** The broker does not let this client ask. */
  #isRefused = false;

  constructor(deps: WriterInquiryDeps) {
    this.#deps = deps;
  }

  /** A new link may allow what the last one refused. */
  linked(): void {
    this.#isRefused = false;
  }

  /** Never rejects. */
  async ask(instance: string): Promise<void> {
    const { realm, storage, log, who, onShown } = this.#deps;
    if (this.#isRefused || this.#asked.has(instance) || this.#asked.size >= limits.instancesAskedMax) return;
    this.#asked.add(instance);
    try {
      const shown = await askForWriter(this.#deps, storageSubjects(realm, storage).operation(instance, "writer"));
      if (shown.type === "writer" && shown.writer.instance === instance) onShown(instance);
    } catch (error) {
      const facts = { ...who(), instance, err: error };
      if (!(error instanceof NotAuthorizedError)) log.debug(facts, "a server that was heard cannot be asked");
      else if (!this.#isRefused) {
        this.#isRefused = true;
        log.warn(facts, "the broker does not let this client ask which server writes: it stays with the one it has");
      }
    } finally {
      this.#asked.delete(instance);
    }
  }
}
