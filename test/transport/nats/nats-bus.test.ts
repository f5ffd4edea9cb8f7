import { createPlainBus } from "../../../transport/index.js";
import { natsBusSetup } from "../../support/nats-buses.js";
import { busPace, busSuite } from "../../../testing/suites/bus.js";

busSuite("over plain NATS", { oneOrder: false, keepsHistory: false, hasLinks: true }, () =>
  natsBusSetup("", (transport, prefix) => createPlainBus({ transport, prefix, ...busPace })),
);
