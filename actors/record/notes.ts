import type { noteKinds } from "./frames.js";

/**
 * One step of a commit or an invalidation at one place. It follows a transaction from its client through the server to
 * every cache, and an invalidation from the node that asks for it to every node.
 *
 *     commit         sent (id) ─▶ written (id, tid) ─▶ committed (id, tid) | refused (id) ─▶ applied (tid), each client
 *     invalidation   invalidated (id) ─▶ heard (id, sequence), each node
 */
export interface Note {
  readonly what: (typeof noteKinds)[number];
  /** The client, storage or node at which it happens. */
  readonly who: string;
  /** The storage of a commit, or the tag of an invalidation. */
  readonly of: string;
  /** Id of the transaction, or of the publication. */
  readonly id?: string | undefined;
  /** Tid of the commit, or sequence of the invalidation on the bus. */
  readonly number?: number | undefined;
  /** Number of keys. */
  readonly size?: number | undefined;
  /** Code of the error that refused a commit. */
  readonly reason?: string | undefined;
}

/** Takes notes while they are recorded. */
export interface Notes {
  readonly isRecording: boolean;
  /**
   * Whether one more note may be sent now. Check it before each note, so that a note without a watcher, or above the
   * rate, costs nothing. A note that is not admitted while `isRecording` is counted as left out.
   */
  admits(): boolean;
  /** Takes a note that was admitted. */
  note(note: Note): void;
}

/** Where there is no actor system, nothing is recorded. */
export const noNotes: Notes = { isRecording: false, admits: () => false, note: () => undefined };

/** Passes notes on to the notes of an actor system that exists only later, under the name of one place. */
export class NotesOfPlace {
  #notes = noNotes;
  #who = "";

  /** From now on notes go to `notes`, as notes of `who`. */
  passTo(notes: Notes, who: string): void {
    this.#notes = notes;
    this.#who = who;
  }

  admits(): boolean {
    return this.#notes.admits();
  }

  note(note: Omit<Note, "who">): void {
    this.#notes.note({ who: this.#who, ...note });
  }
}
