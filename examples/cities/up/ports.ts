import { createServer } from "node:net";
import { CommandError } from "../../../cli/failure.js";

/** Throws a CommandError that names the option when somebody listens on the port already. */
export async function checkPortFree(port: number, flag: string): Promise<void> {
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: "127.0.0.1", port, exclusive: true }, resolve);
    });
  } catch (error) {
    throw portError(error, port, flag);
  }
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
}

/** The error of a port that cannot be listened on, with the option that chooses another. */
export function portError(error: unknown, port: number, flag: string): CommandError {
  const code = (error as NodeJS.ErrnoException).code;
  const reason = code === "EADDRINUSE" ? "is taken" : `cannot be used (${code ?? String(error)})`;
  return new CommandError("ZOOID_PORT_TAKEN", `port ${port} ${reason}: choose another with ${flag}`, { port, option: flag }, error);
}
