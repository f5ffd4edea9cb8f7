import type { Command } from "commander";
import type { RecordEntry } from "../actors/index.js";
import { type Clock, systemClock } from "../core/index.js";
import { addBrokerOptions, type BrokerFlags } from "./connection.js";
import { serveInspector } from "./inspector/inspector-server.js";
import { option, parseInteger, parseOrigins } from "./parsing.js";
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
        "pages that may connect beside those of localhost, with commas: https://app.example",
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
  const server = await serveInspector({ port, origins, clock: systemClock, say });
  say(`zooid: waits for applications: createWebSocketInspector({ url: "ws://127.0.0.1:${server.port}" })`);
  try {
    return await use({
      realm: undefined,
      clock: systemClock,
      watch: (listener) => server.watch(listener),
      onStatus: () => () => undefined,
      flush: () => Promise.resolve(),
    });
  } finally {
    await server.close();
  }
}
