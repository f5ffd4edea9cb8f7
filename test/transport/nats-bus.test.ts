import { createPlainBus } from "../../transport/index.js";
import { natsBusPlace } from "../nats-buses.js";
import { busPace, busSuite } from "../suites/bus.js";

busSuite("over plain NATS", { oneOrder: false, keepsHistory: false, hasLinks: true }, () =>
  natsBusPlace("", (transport, prefix) => createPlainBus({ transport, prefix, ...busPace })),
);
