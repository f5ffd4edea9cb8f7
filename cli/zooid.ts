#!/usr/bin/env node
/** The command `zooid`. */
import { main } from "./main.js";
import { createProgram } from "./program.js";

await main({ name: "zooid", create: createProgram, helpOf: (words) => ["zooid", ...words, "--help"].join(" ") });
