/** The program that `npm start` runs. */
import { main } from "../../cli/main.js";
import { createExample } from "./program.js";

await main({ name: "cities", create: createExample, helpOf: () => "npm start -- --help" });
