import { type Bus, connectNats, type HeadedTransport } from "../../transport/index.js";
import { type NatsServer, startNatsServer } from "./nats-server.js";
import type { BusSetup } from "../../testing/suites/bus.js";
import { startTcpProxy } from "./tcp-proxy.js";

/** A nats-server whose nodes each connect through a proxy of their own. */
export interface NatsBusSetup extends BusSetup {
  readonly server: NatsServer;
}

/** JetStream with its data in `folder`, inside the server's temporary folder. */
export const jetStreamConfig = (folder = "data") => `jetstream { store_dir: "$folder/${folder}" }`;

/** A set-up for bus suites. `make` creates a bus on a link. */
export async function natsBusSetup(config: string, make: (transport: HeadedTransport, prefix: string) => Bus): Promise<NatsBusSetup> {
  const server = await startNatsServer({ config });
  return {
    server,
    open: async (prefix = "p") => {
      const link = await startTcpProxy(() => server.port);
      const transport = await connectNats({ servers: `nats://127.0.0.1:${link.port}` });
      const close = async () => {
        await transport.close();
        await link.close();
      };
      return { bus: make(transport, prefix), link, close };
    },
    restart: () => server.restart(),
    close: () => server.stop(),
  };
}
