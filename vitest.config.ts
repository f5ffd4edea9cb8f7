import { defineConfig } from "vitest/config";

/** Suites that need a nats-server say so in the name of their file. */
const nats = "test/**/*nats*.test.ts";

export default defineConfig({
  // Node 20 has no `await using`: esbuild lowers it.
  esbuild: { target: "node20.19" },
  test: {
    reporters: ["default", "./test/support/summary-reporter.ts"],
    pool: "forks",
    // Files of one worker share its modules: importing them anew for each took a third of the whole time.
    isolate: false,
    // Twice the cores that there are at least: many suites wait for processes, brokers and clocks more than they compute.
    maxWorkers: 4,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    projects: [
      { extends: true, test: { name: "units", include: ["test/**/*.test.ts"], exclude: [nats], globalSetup: ["./test/support/built.ts"] } },
      {
        extends: true,
        test: { name: "nats", include: [nats], globalSetup: ["./test/support/built.ts", "./test/support/nats-server-found.ts"] },
      },
    ],
  },
});
