/** The bounds of images of machines. They are a part of `limits`. */
export const drawingLimits = {
  /** States of a machine that is laid out as an image: with more, nothing in it can be read. */
  drawnStatesMax: 500,
  /** Transitions of such a machine, each to one state. */
  drawnTransitionsMax: 1_500,
  /** Characters of one text in an image; `…` stands for the rest. */
  drawnTextLengthMax: 400,
  /** Longest time for one layout. A machine that fits on a screen takes less than a second. */
  layoutMsMax: 60_000,
  /** Memory of the thread that computes layouts: with more, the layout fails, and the process goes on. */
  layoutHeapBytesMax: 1024 * 1024 * 1024,
  /** That thread ends this long after the last layout: it starts in a quarter of a second. */
  layoutThreadIdleMs: 1_000,
} as const;
