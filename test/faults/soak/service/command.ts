import type { Command } from "commander";
import { duration, size } from "../../../../cli/progress.js";
import { table } from "../../../../cli/table.js";
import { versionsNow } from "../../matrix/report.js";
import { countFrom1, positive } from "../numbers.js";
import { type Growth, overgrown, type Sample } from "./growth.js";
import { type ServiceSoakReport, soakService } from "./soak.js";

interface Flags {
  readonly minutes: number;
  readonly rate: number;
  readonly clients: number;
  readonly killEvery: number;
  readonly seed: number;
  readonly snapshots?: string;
  readonly json: boolean;
}

/** Quantities that are not bytes. */
const counts: ReadonlySet<string> = new Set(["handles", "results", "tags"]);

/** Exit code that a shell reports for a program ended by SIGINT. */
const interruptedCode = 130;

/** `npm run soak -- service`. */
export function addServiceSoak(program: Command): void {
  program
    .command("service")
    .description(
      "Runs services with real parts under anonymous traffic while brokers and servers die: every answer must be right, and memory flat from " +
        "minute 5 on (for a soak below 20 minutes, from its first quarter on; below 7 minutes it is only shown).",
    )
    .option("--minutes <n>", "how long", positive, 20)
    .option("--rate <n>", "HTTP requests in a second", positive, 100)
    .option("--clients <n>", "clients of the object store that return", countFrom1, 200)
    .option("--kill-every <seconds>", "pause between two deaths of the broker, on average", positive, 30)
    .option("--seed <n>", "decides the requests, and when parts die", countFrom1, 1)
    .option("--snapshots <folder>", "write heap snapshots of all processes where memory begins to be judged, and at the end")
    .option("--json", "print what was measured as JSON", false)
    .addHelpText(
      "after",
      "\nNATS_SERVER names another nats-server. Ctrl-C ends it early, with the table so far. Exits with 1 when something was wrong.\n\nExamples:\n" +
        "  npm run soak -- service\n  npm run soak -- service --minutes 3 --rate 50\n" +
        "  npm run soak -- service --minutes 30 --snapshots /tmp/heaps\n  npm run --silent soak -- service --json > soak.json",
    )
    .action(run);
}

async function run({ minutes, rate, clients, killEvery: killEverySecs, seed, snapshots, json }: Flags): Promise<void> {
  const interruption = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => interruption.abort());
  const { signal } = interruption;
  const say = (text: string) => process.stderr.write(`${text}\n`);
  let wrongsSaid = 0;
  const progress = (report: ServiceSoakReport, samples: readonly Sample[]) => {
    const heaps = samples.flatMap(({ process, values }) => (values["heap"] === undefined ? [] : [`${process} ${size(values["heap"])}`]));
    say(
      `${report.seconds.toFixed(0)} of ${minutes * 60} s: ${report.requests} requests, ${report.brokerKills} kills, ` +
        `${report.wrongs.length} wrong; heap: ${heaps.join(", ")}`,
    );
    for (const text of report.wrongs.slice(wrongsSaid)) say(`wrong: ${text}`);
    wrongsSaid = report.wrongs.length;
  };
  const report = await soakService({ minutes, rate, clients, killEverySecs, seed, snapshots, signal, progress });
  const versions = versionsNow();
  if (json) process.stdout.write(`${JSON.stringify({ versions, seed, ...report }, undefined, 2)}\n`);
  else for (const line of linesOf(report)) process.stdout.write(`${line}\n`);
  if (!json) say(`zooid ${versions.zooid}, Node ${versions.node}, nats-server ${versions.natsServer}, ${versions.date}, seed ${seed}`);
  process.exitCode = report.wrongs.length > 0 ? 1 : signal.aborted ? interruptedCode : 0;
}

function linesOf(report: ServiceSoakReport): readonly string[] {
  const kinds = Object.entries(report.kinds).map(([kind, count]) => `${kind} ${count}`);
  const [slowest = ["none", 0] as const] = Object.entries(report.answerMsMax).toSorted(([, one], [, other]) => other - one);
  const over = new Set(overgrown(report.growths));
  return [
    `${report.seconds.toFixed(0)} s: ${report.requests} requests (${kinds.join(", ")})`,
    `${report.checked} answers checked, ${report.hits} of them from the cache of pages; longest ${duration(slowest[1])} (${slowest[0]})`,
    `${report.invalidations} invalidations; ${report.commits} commits, ${report.failedCommits} more that failed`,
    `${report.visits} visits of clients of the object store, which read ${report.clientReads} objects`,
    `${report.brokerKills} kills of the broker, ${report.storageRestarts} restarts of the storage server, ${report.excused} answers 503 because of them`,
    ...Object.entries(report.logged).map(([text, count]) => `logged ${count} times: ${text}`),
    ...(report.growths.length === 0
      ? ["too short to say anything of memory"]
      : table(
          ["process", "of", `at ${report.judgedFromSecs.toFixed(0)} s`, "at the end", "may grow by", ""],
          report.growths.map((growth) => rowOf(growth, over.has(growth))),
        )),
    ...report.wrongs.map((text) => `wrong: ${text}`),
    `${report.wrongs.length} wrong`,
  ];
}

function rowOf({ process, quantity, level, end, allowed }: Growth, isOver: boolean): readonly string[] {
  const text = counts.has(quantity) ? (value: number) => value.toFixed(0) : size;
  return [process, quantity, text(level), text(end), text(allowed), isOver ? "grows" : ""];
}
