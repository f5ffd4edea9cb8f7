import type { Random, Clock } from "../../../core/index.js";
import { CommandError } from "../../../cli/failure.js";
import { count, duration } from "../../../cli/progress.js";
import type { Report, ScenarioStep } from "./report.js";
import { type ChangedEvent, pathOf, type ReadAnswer, type ServiceLink, type WriteAnswer } from "./service-link.js";

/** All of it takes a second or two; a reconnection backs off for a few at most. */
const scenarioTimeoutMs = 60_000;
/** Cities tried until one is found that A has not cached from an earlier run. */
const uncachedTriesMax = 50;

export interface ScenarioOptions {
  readonly a: ServiceLink;
  readonly b: ServiceLink;
  /** Keys to choose from. */
  readonly keys: readonly string[];
  readonly server: { stop(): Promise<void>; start(): Promise<void> };
  /** A: put to sleep so that it misses a transaction, and keeps what its cache has on disk. */
  readonly sleeper: { sleep(): Promise<void>; wake(): Promise<void> };
  readonly clock: Clock;
  readonly random: Random;
  readonly report: Report;
  readonly signal: AbortSignal;
}

/**
 * Shows on a city that nobody has touched: a read, a cached read, cached figures of its country, a change that reaches the other
 * service and makes the figures fall, reads while the storage server is away, and a cache verified by replaying what it missed. Throws a CommandError when a step is not as promised.
 */
export async function playScenario(options: ScenarioOptions): Promise<{ readonly key: string }> {
  const { a, b, server, sleeper, clock } = options;
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(scenarioTimeoutMs)]);
  const steps = new Steps(options);
  const note = (what: string) => `${what} ${new Date(clock.now()).toISOString()}`;

  const first = await readUncached(options, signal);
  const { key } = first;
  steps.tell("read at A", `${key} from the ${first.from}`, first.ms, { from: first.from });

  const again = await a.read(key, signal);
  check(again.from === "cache", "the second read came from the server");
  steps.tell("read at A again", "from its cache", again.ms, { from: again.from });

  const country = countryOf(key);
  const figures = await a.figures(country, signal);
  const { cities, from } = figures;
  steps.tell("figures at A", `of ${country}, ${count(cities)} cities: ${from}`, figures.ms, { cities, from });

  const kept = await a.figures(country, signal);
  check(kept.from === "cache", "A computed the same figures again");
  steps.tell("figures at A again", "from its cache of results", kept.ms, { from: kept.from });

  const text = note("changed at");
  const telling = a.next((event): event is ChangedEvent => event.type === "changed" && event.key === key, signal);
  telling.catch(() => undefined);
  const change = await b.change(key, { note: text }, signal);
  steps.tell("change at B", `note: ${JSON.stringify(text)}`, change.ms, { tid: change.tid });
  const told = await telling;
  const toldAfterMs = told.at - (change.at - change.ms);
  const sinceAnswerMs = told.at - change.at;
  const side = sinceAnswerMs < 0 ? "before" : "after";
  const moments = `${duration(toldAfterMs)} after B began, ${duration(Math.abs(sinceAnswerMs))} ${side} B had its answer`;
  steps.tell("A was told", moments, toldAfterMs, { toldAfterMs, sinceAnswerMs });

  const changed = await a.read(key, signal);
  check(changed.city["note"] === text, "A answered the old value");
  steps.tell("read at A", `the new value, from the ${changed.from}`, changed.ms, { from: changed.from });

  const fresh = await a.figures(country, signal);
  check(fresh.from === "computed" && fresh.asOf.tid >= change.tid, "A answered figures of before the change");
  const sinceCommitMs = fresh.at - change.at;
  const freshness = `computed anew, ${duration(sinceCommitMs)} after the commit at B`;
  steps.tell("figures at A", freshness, fresh.ms, { from: fresh.from, sinceCommitMs });

  const lost = a.untilConnected(false, signal);
  const stopping = clock.monotonic();
  await server.stop();
  await lost;
  steps.tell("storage server stopped", "A has noticed", clock.monotonic() - stopping, {});
  const cutOff = await a.read(key, signal);
  check(!cutOff.connected && cutOff.city["note"] === text, "A, cut off, answered something else");
  steps.tell("read at A, cut off", `from its ${cutOff.from}, as of ${cutOff.asOf.time}`, cutOff.ms, { asOf: cutOff.asOf.tid });

  // A sleeps while B goes on, so that it surely misses one transaction: else it would be a race between the two.
  await sleeper.sleep();
  const starting = clock.monotonic();
  const awake = a.nextConnected(true, signal);
  awake.catch(() => undefined);
  let missed: WriteAnswer;
  try {
    await server.start();
    await b.untilConnected(true, signal);
    steps.tell("storage server started", "A sleeps, B is connected again", clock.monotonic() - starting, {});
    missed = await b.change(key, { note: note("changed in A's sleep at") }, signal);
  } finally {
    await sleeper.wake();
  }
  const { verification } = await awake;
  check(verification?.how === "replayed" && verification.transactions === 1, "A did not verify by replaying 1 transaction");
  const { transactions, elapsedMs } = verification;
  const replayed = `by replaying ${transactions} transaction in ${duration(elapsedMs)}`;
  steps.tell("A is awake, verified", replayed, elapsedMs, { transactions, elapsedMs });

  const last = await a.read(key, signal);
  check(last.asOf.tid >= missed.tid, "A answered what was before its sleep");
  steps.tell("read at A", `what B wrote meanwhile, from the ${last.from}`, last.ms, { from: last.from, connected: last.connected });
  return { key };
}

/** `DE` of `city/DE/15/Jena`. */
function countryOf(key: string): string {
  return key.split("/")[1] ?? "";
}

/** The lines to do the same by hand. `zooid`: how this command is called from a terminal. */
export function commandsByHand(
  urls: { readonly a: string; readonly b: string; readonly control: string },
  key: string,
  zooid: (words: string) => string,
): readonly string[] {
  const path = pathOf(key);
  const read = `curl -sw "\\n" ${urls.a}${path}`;
  const figures = `curl -sw "\\n" ${urls.a}/figures/${countryOf(key)}`;
  return [
    read,
    figures,
    `curl -sw "\\n" -X PATCH ${urls.b}${path} -H 'content-type: application/json' -d '{"note":"by hand"}'`,
    read,
    figures,
    `curl -sw "\\n" -X POST ${urls.control}/server/stop`,
    read,
    `curl -sw "\\n" -X POST ${urls.control}/server/start`,
    `curl -sw "\\n" ${urls.a}/state`,
    `curl -s ${urls.control}/machines`,
    zooid("cache keys"),
    zooid(`cache invalidate figures:${countryOf(key)}`),
    figures,
  ];
}

async function readUncached({ a, keys, random }: ScenarioOptions, signal: AbortSignal): Promise<ReadAnswer> {
  let answer: ReadAnswer | undefined;
  for (let tries = 0; tries < uncachedTriesMax; tries++) {
    const key = keys[Math.floor(random.fraction() * keys.length)];
    check(key !== undefined, "there are no cities");
    answer = await a.read(key, signal);
    if (answer.from === "server") return answer;
  }
  check(answer !== undefined, "there are no cities");
  return answer;
}

/** Numbers the steps, and tells each with the state A is in. */
class Steps {
  readonly #options: ScenarioOptions;
  #number = 0;

  constructor(options: ScenarioOptions) {
    this.#options = options;
  }

  tell(name: string, detail: string, ms: number, facts: ScenarioStep["facts"]): void {
    this.#number += 1;
    this.#options.report({ event: "step", number: this.#number, name, detail, ms, connection: this.#options.a.connection, facts });
  }
}

function check(condition: boolean, otherwise: string): asserts condition {
  if (!condition) throw new CommandError("ZOOID_PART_FAILED", `the scenario: ${otherwise}`);
}
