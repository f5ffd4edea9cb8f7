/** The system's own timer, also while a test has replaced it by fake ones. */
const timer = setTimeout;

/** Turns of the event loop without a pause: a condition within this process mostly holds after a few. */
const turnsMax = 50;
/** A wait for another process must not take a core from it. */
const pauseMs = 2;

/** Resolves when `holds` returns true. The time-out of the test bounds the wait. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let turns = 0; !(await holds()); turns++)
    await new Promise<void>((resolve) => void (turns < turnsMax ? setImmediate(resolve) : timer(resolve, pauseMs)));
}
