import { once } from "node:events";
import { createServer } from "node:net";
import { CommandError } from "../../../cli/failure.js";

/** Options that choose ports, each with an example of its value. */
const values = { "--port": "5222", "--control-port": "5280", "--service-ports": "5281,5282" } as const;
type PortFlag = keyof typeof values;

/** Throws a CommandError that names the option when the port is taken. */
export async function checkPortFree(port: number, flag: PortFlag): Promise<void> {
  const server = createServer();
  try {
    await once(server.listen({ host: "127.0.0.1", port, exclusive: true }), "listening");
  } catch (error) {
    throw portError(error, port, flag);
  }
  await once(server.close(), "close");
}

/** The error for a port that cannot be opened, with the option that chooses another one. */
export function portError(error: unknown, port: number, flag: PortFlag): CommandError {
  const code = (error as NodeJS.ErrnoException).code;
  const reason = code === "EADDRINUSE" ? "is taken, perhaps by another `npm start`" : `cannot be used (${code ?? String(error)})`;
  const remedy = `choose another with \`npm start -- ${flag} ${values[flag]}\``;
  return new CommandError("ZOOID_PORT_TAKEN", `port ${port} ${reason}: ${remedy}`, { port, option: flag }, error);
}
