/** The program that `npm run orders` runs. */
import { main } from "../../cli/main.js";
import { createOrders } from "./program.js";

await main({ name: "orders", create: createOrders, helpOf: () => "npm run orders -- --help" });
