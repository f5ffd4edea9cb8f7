import { tag } from "../../../cache.js";
import type { Seams } from "../../../core/index.js";
import { CommandError } from "../../../cli/failure.js";
import { count, duration } from "../../../cli/progress.js";
import type { Report, ScenarioStep } from "./report.js";
import { type ChangedEvent, pathOf, type ReadAnswer, type ServiceLink, type WriteAnswer } from "./service-link.js";

/** The scenario takes a second or two. A reconnection backs off for a few seconds at most. */
const scenarioTimeoutMs = 60_000;
/** Number of cities to try, to find one that A has not cached in an earlier run. */
const uncachedTriesMax = 50;

export interface ScenarioOptions extends Pick<Seams, "clock" | "random"> {
  readonly a: ServiceLink;
  readonly b: ServiceLink;
  /** Keys to choose from. */
  readonly keys: readonly string[];
  readonly server: { stop(): Promise<void>; start(): Promise<void> };
  readonly broker: { stop(): Promise<void>; start(): Promise<void> };
  /** A is suspended, so that it misses a transaction; its cache stays on disk. */
  readonly sleeper: { sleep(): Promise<void>; wake(): Promise<void> };
  readonly report: Report;
  readonly signal: AbortSignal;
}

/**
 * Takes a city that A has not cached, and shows a read, a cached read, cached figures of its country, a change that
 * reaches the other service and makes the figures stale, a bus that is cut and follows again, a read without the
 * storage server, and a cache that is verified by replaying a missed transaction. Throws a CommandError when a step
 * does not go as promised.
 */
export async function playScenario(options: ScenarioOptions): Promise<{ readonly key: string }> {
  const { a, b, server, broker, sleeper, clock } = options;
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(scenarioTimeoutMs)]);
  const steps = new Steps(options);
  const note = (what: string) => `${what} ${new Date(clock.now()).toISOString()}`;

  const first = await readUncached(options, signal);
  const { key } = first;
  steps.report("read at A", `${key} from the ${first.from}`, first.ms, { from: first.from });

  const again = await a.read(key, signal);
  check(again.from === "cache", "the second read came from the server");
  steps.report("read at A again", "from its cache", again.ms, { from: again.from });

  const country = countryOf(key);
  const figures = await a.figures(country, signal);
  const { cities, from } = figures;
  steps.report("figures at A", `of ${country}, ${count(cities)} cities: ${from}`, figures.ms, { cities, from });

  const kept = await a.figures(country, signal);
  check(kept.from === "cache", "A computed the same figures again");
  steps.report("figures at A again", "from its cache of results", kept.ms, { from: kept.from });

  const text = note("changed at");
  const notifying = a.next((event): event is ChangedEvent => event.type === "changed" && event.key === key, signal);
  notifying.catch(() => undefined);
  const change = await b.change(key, { note: text }, signal);
  steps.report("change at B", `note: ${JSON.stringify(text)}`, change.ms, { tid: change.tid });
  const notified = await notifying;
  const notifiedAfterMs = notified.at - (change.at - change.ms);
  const sinceAnswerMs = notified.at - change.at;
  const side = sinceAnswerMs < 0 ? "before" : "after";
  const moments = `${duration(notifiedAfterMs)} after B began, ${duration(Math.abs(sinceAnswerMs))} ${side} B had its answer`;
  steps.report("A is notified", moments, notifiedAfterMs, { notifiedAfterMs, sinceAnswerMs });

  const changed = await a.read(key, signal);
  check(changed.city["note"] === text, "A answered the old value");
  steps.report("read at A", `the new value, from the ${changed.from}`, changed.ms, { from: changed.from });

  const fresh = await a.figures(country, signal);
  check(fresh.from === "computed" && fresh.asOf.tid >= change.tid, "A answered figures of before the change");
  const sinceCommitMs = fresh.at - change.at;
  const freshness = `computed again, ${duration(sinceCommitMs)} after the commit at B`;
  steps.report("figures at A", freshness, fresh.ms, { from: fresh.from, sinceCommitMs });

  const breaking = clock.monotonic();
  await broker.stop();
  const cut = await a.untilBus((state) => state !== "following", clock, signal);
  await Promise.all([a.untilConnected(false, signal), b.untilConnected(false, signal)]);
  steps.report("broker stopped", `the bus of A's cache of results is ${cut}`, clock.monotonic() - breaking, { bus: cut });

  const mending = clock.monotonic();
  await broker.start();
  const follows = await a.untilBus((state) => state === "following", clock, signal);
  await Promise.all([a.untilConnected(true, signal), b.untilConnected(true, signal)]);
  steps.report("broker started", `the bus of A's cache of results is ${follows}`, clock.monotonic() - mending, { bus: follows });

  const lost = a.untilConnected(false, signal);
  const stopping = clock.monotonic();
  await server.stop();
  await lost;
  steps.report("storage server stopped", "A has noticed", clock.monotonic() - stopping, {});
  const cutOff = await a.read(key, signal);
  check(!cutOff.connected && cutOff.city["note"] === text, "A, cut off, answered something else");
  steps.report("read at A, cut off", `from its ${cutOff.from}, as of ${cutOff.asOf.time}`, cutOff.ms, { asOf: cutOff.asOf.tid });

  // A is suspended while B commits, so that A misses the transaction for certain.
  await sleeper.sleep();
  const starting = clock.monotonic();
  const awake = a.nextConnected(true, signal);
  awake.catch(() => undefined);
  let missed: WriteAnswer;
  try {
    await server.start();
    await b.untilConnected(true, signal);
    steps.report("storage server started", "B is connected again, A is suspended", clock.monotonic() - starting, {});
    missed = await b.change(key, { note: note("changed while A was suspended, at") }, signal);
  } finally {
    await sleeper.wake();
  }
  const { verification } = await awake;
  check(verification?.how === "replayed" && verification.transactions === 1, "A did not verify by replaying 1 transaction");
  const { transactions, elapsedMs } = verification;
  const replayed = `cache verified: ${transactions} transaction replayed in ${duration(elapsedMs)}`;
  steps.report("A resumes", replayed, elapsedMs, { transactions, elapsedMs });

  const last = await a.read(key, signal);
  check(last.asOf.tid >= missed.tid, "A answered the value of before it was suspended");
  steps.report("read at A", `the value that B wrote meanwhile, from the ${last.from}`, last.ms, {
    from: last.from,
    connected: last.connected,
  });
  return { key };
}

/** `DE` of `city/DE/15/Jena`. */
function countryOf(key: string): string {
  return key.split("/")[1] ?? "";
}

/** Command lines that do the same by hand. `zooid` writes the line of a `zooid` command. */
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
    zooid("status"),
    zooid("machines connection --of A"),
    zooid("machines bus --of A"),
    zooid("cache keys"),
    zooid(`cache invalidate ${tag`figures:${countryOf(key)}`}`),
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

/** Numbers the steps, and reports each with the state of A's connection. */
class Steps {
  readonly #options: ScenarioOptions;
  #number = 0;

  constructor(options: ScenarioOptions) {
    this.#options = options;
  }

  report(name: string, detail: string, ms: number, facts: ScenarioStep["facts"]): void {
    this.#number += 1;
    this.#options.report({ event: "step", number: this.#number, name, detail, ms, connection: this.#options.a.connection, facts });
  }
}

function check(condition: boolean, otherwise: string): asserts condition {
  if (!condition) throw new CommandError("ZOOID_PART_FAILED", `the scenario: ${otherwise}`);
}
