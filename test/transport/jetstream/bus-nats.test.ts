import { createJetStreamBus } from "../../../transport/index.js";
import { jetStreamConfig, natsBusPlace } from "../../support/nats-buses.js";
import { busPace, busSuite } from "../../../testing/suites/bus.js";

busSuite("over JetStream", { oneOrder: true, keepsHistory: true, hasLinks: true }, () =>
  natsBusPlace(jetStreamConfig(), (transport, prefix) => createJetStreamBus({ transport, prefix, ...busPace })),
);
