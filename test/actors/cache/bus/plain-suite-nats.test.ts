import { natsBusSetup } from "../../../support/nats-buses.js";
import { busPace, busSuite } from "../../../../testing/suites/bus.js";
import { createPlainBus } from "../../../../actors/cache/bus/plain-bus.js";

busSuite("over plain NATS", { oneOrder: false, keepsHistory: false, hasLinks: true }, () =>
  natsBusSetup("", (transport, prefix) => createPlainBus({ transport, prefix, ...busPace })),
);
