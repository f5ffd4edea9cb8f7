import type { Command } from "commander";
import { acceptStately, type RecordEntry, type StatelyNotice } from "../actors/index.js";
import { type Clock, systemClock } from "../core/index.js";
import { addBrokerOptions, type BrokerFlags, logOf } from "./connection.js";
import { option, parseInteger, parseOrigins } from "./parsing.js";
import { printable } from "./printable.js";
import { withRealm } from "./realm-system.js";
import type { Surroundings } from "./surroundings.js";

/** Where the entries of a record come from: the instances of a realm, or applications that are inspected. */
export interface RecordSource {
  /** The realm; undefined: applications. */
  readonly realm: string | undefined;
  readonly clock: Clock;
  readonly watch: (listener: (entry: RecordEntry) => void) => () => void;
  /** Calls `listener` with a line for people when the link changes. */
  readonly onStatus: (listener: (line: string) => void) => () => void;
  /** Resolves when the end of the watch has reached the broker. Never rejects. */
  readonly flush: () => Promise<void>;
}

/** Flags of every command that follows a record. */
export interface SourceFlags extends BrokerFlags {
  readonly inspector?: number;
  readonly inspectorOrigins?: readonly string[];
}

/** Adds the flags of SourceFlags. */
export function addSourceOptions(command: Command): Command {
  return addBrokerOptions(command, "error")
    .addOption(
      option(
        "--inspector <port>",
        "ZOOID_INSPECTOR",
        "instead of a realm: applications on this machine that use createWebSocketInspector of @statelyai/inspect with this port",
      ).argParser(parseInteger(1, 65_535)),
    )
    .addOption(
      option(
        "--inspector-origins <origins>",
        "ZOOID_INSPECTOR_ORIGINS",
        "with --inspector: web pages that may connect, with commas: http://localhost:5173 (default: none)",
      ).argParser(parseOrigins),
    );
}

/** Runs `use` with the source of the flags, and closes it afterwards. `name` is shown by the broker. */
export async function withSource<T>(
  flags: SourceFlags,
  name: string,
  { say }: Pick<Surroundings, "say">,
  use: (source: RecordSource) => Promise<T>,
): Promise<T> {
  const { inspector: port, inspectorOrigins: origins = [] } = flags;
  if (port === undefined) {
    return withRealm(flags, name, ({ realm, system, transport, clock }) =>
      use({
        realm,
        clock,
        watch: (listener) => system.watchRecord(listener),
        onStatus: (listener) => transport.onStatus((status) => listener(`the link to ${transport.address} is ${status}`)),
        flush: async () => {
          if (transport.status === "connected") await transport.flush().catch(() => undefined);
        },
      }),
    );
  }
  // An application may connect before it is watched.
  const early: RecordEntry[] = [];
  let listener = (entry: RecordEntry): void => void early.push(entry);
  const notices = new Notices(say);
  const onNotice = (notice: StatelyNotice) => notices.say(notice);
  const accepted = await acceptStately({ port, origins, onNotice, log: logOf(flags) }, (entry) => listener(entry));
  say(`zooid: waits for applications: createWebSocketInspector({ url: "${accepted.url}" })`);
  try {
    return await use({
      realm: undefined,
      clock: systemClock,
      watch: (watcher) => {
        listener = watcher;
        for (const entry of early.splice(0)) watcher(entry);
        return () => (listener = () => undefined);
      },
      onStatus: () => () => undefined,
      flush: () => Promise.resolve(),
    });
  } finally {
    await accepted.close();
  }
}

/** Origins that were refused and are named; further ones are not. */
const originsNamedMax = 20;

/** Prints lines about applications that come, and that may not. */
class Notices {
  readonly #say: (line: string) => void;
  readonly #refused = new Set<string>();

  constructor(say: (line: string) => void) {
    this.#say = say;
  }

  say(notice: StatelyNotice): void {
    switch (notice.type) {
      case "connected":
        this.#say(`zooid: ${notice.instance} is connected${notice.origin === undefined ? "" : `: ${printable(notice.origin)}`}`);
        return;
      case "closed":
        this.#say(`zooid: ${notice.instance} was closed: ${printable(notice.reason)}`);
        return;
      case "refused": {
        // A page tries again every 5 seconds.
        const { origin = "", reason } = notice;
        const key = `${reason} ${origin}`;
        if (this.#refused.has(key) || this.#refused.size >= originsNamedMax) return;
        this.#refused.add(key);
        if (reason === "connections") this.#say("zooid: an application was refused: too many are connected");
        else this.#say(`zooid: a page of ${printable(origin)} was refused: --inspector-origins ${printable(origin)} accepts it`);
      }
    }
  }
}
