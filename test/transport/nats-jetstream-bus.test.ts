import { createJetStreamBus } from "../../transport/index.js";
import { jetStreamConfig, natsBusPlace } from "../nats-buses.js";
import { busPace, busSuite } from "../suites/bus.js";

busSuite("over JetStream", { oneOrder: true, keepsHistory: true, hasLinks: true }, () =>
  natsBusPlace(jetStreamConfig(), (transport, prefix) => createJetStreamBus({ transport, prefix, ...busPace })),
);
