import { jetStreamConfig, natsBusSetup } from "../../../support/nats-buses.js";
import { busPace, busSuite } from "../../../../testing/suites/bus.js";
import { createJetStreamBus } from "../../../../actors/cache/bus/stream-bus.js";

busSuite("over JetStream", { oneOrder: true, keepsHistory: true, hasLinks: true }, () =>
  natsBusSetup(jetStreamConfig(), (transport, prefix) => createJetStreamBus({ transport, prefix, ...busPace })),
);
