import { expect } from "vitest";
import type { RunningUp } from "../examples/running-up.js";

/** Expects the steps of the scenario, each with the state of A's connection machine. Returns the city. */
export async function expectPlayed(up: RunningUp): Promise<string> {
  const { city } = await up.event("scenario");
  const steps = up.events.filter((event) => event.event === "step");
  expect(steps.map(({ name, detail, connection }) => [name, detail, connection])).toEqual([
    ["read at A", `${city} from the server`, "readWrite"],
    ["read at A again", "from its cache", "readWrite"],
    ["figures at A", expect.stringMatching(/^of [A-Z]{2}, [\d,]+ cities: computed$/), "readWrite"],
    ["figures at A again", "from its cache of results", "readWrite"],
    ["change at B", expect.stringMatching(/^note: "changed at /), "readWrite"],
    ["A is notified", expect.stringMatching(/ after B began, .* B had its answer$/), "readWrite"],
    ["read at A", "the new value, from the server", "readWrite"],
    ["figures at A", expect.stringMatching(/^computed again, .* after the commit at B$/), "readWrite"],
    ["broker stopped", "the bus of A's cache of results is cut", "disconnected"],
    ["broker started", "the bus of A's cache of results is following", "readWrite"],
    ["storage server stopped", "A has noticed", expect.not.stringMatching(/read/)],
    ["read at A, cut off", expect.stringMatching(/^from its cache, as of \d{4}-/), expect.not.stringMatching(/read/)],
    ["storage server started", "B is connected again, A is suspended", expect.not.stringMatching(/read/)],
    ["A resumes", expect.stringMatching(/^cache verified: 1 transaction replayed in /), "readWrite"],
    ["read at A", "the value that B wrote meanwhile, from the server", "readWrite"],
  ]);
  expect(steps.every(({ ms }) => ms > 0)).toBe(true);
  return city;
}

/** Expects that the services stopped first, then the storage server, then the broker. */
export function expectStoppedInOrder(up: RunningUp): void {
  const from = up.events.findIndex((event) => event.event === "stopping");
  const order = up.events.slice(from).flatMap((event) => (event.event === "part" && event.state === "down" ? [event.part] : []));
  expect(new Set(order.slice(0, 2))).toEqual(new Set(["service A", "service B"]));
  expect(order.slice(2)).toEqual(["storage server", "broker"]);
}
