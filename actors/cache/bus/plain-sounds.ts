/** More of them than fit into the time-out; past this number the oldest is forgotten. */
const soundsMax = 64;

/** A greeting or heartbeat of this node that came back from the broker. */
export interface EchoedSound {
  /** When it was sent, on the monotonic clock. */
  readonly sentAt: number;
  /** A greeting on this link, sent since the node was cut. */
  readonly isGreeting: boolean;
}

/**
 * Greetings and heartbeats of a node that have not come back from the broker yet, by their ids. A slow link may hold
 * several greetings at once: each of them shows that the link is whole.
 */
export class PlainSounds {
  readonly #sounds = new Map<string, EchoedSound>();

  sent(id: string, sentAt: number, isGreeting: boolean): void {
    const [oldest] = this.#sounds.keys();
    if (this.#sounds.size >= soundsMax && oldest !== undefined) this.#sounds.delete(oldest);
    this.#sounds.set(id, { sentAt, isGreeting });
  }

  /** Undefined: none is known by this id. Each one comes back once. */
  echoed(id: string): EchoedSound | undefined {
    const sound = this.#sounds.get(id);
    this.#sounds.delete(id);
    return sound;
  }

  /** From now on, the echo of an earlier greeting shows only when it was sent. */
  forgetGreetings(): void {
    for (const [id, { sentAt }] of this.#sounds) this.#sounds.set(id, { sentAt, isGreeting: false });
  }
}
