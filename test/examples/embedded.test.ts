import { beforeEach, describe, expect, test } from "vitest";
import { Embedded } from "../../examples/cities/up/embedded.js";
import { Part } from "../../examples/cities/up/part.js";
import type { UpEvent } from "../../examples/cities/up/report.js";
import { InUseError } from "../../index.js";
import { systemClock } from "../../core/index.js";

/** Events of the embedded part, in order. */
let history: string[];
let reported: UpEvent[];
let fail: (error: unknown) => void;
/** `open` waits for this promise. */
let until: Promise<void>;

beforeEach(() => {
  [history, reported, until] = [[], [], Promise.resolve()];
});

function createPart(): Part {
  const open = async (failing: (error: unknown) => void) => {
    fail = failing;
    await until;
    history.push("opened");
    return { close: () => void history.push("closed") };
  };
  const launch = () => new Embedded({ name: "storage server", open });
  return new Part({ name: "storage server", detail: "here", launch, clock: systemClock, report: (event) => reported.push(event) });
}

const reports = () => reported.map((event) => ("part" in event ? `${event.event} ${"state" in event ? event.state : event.detail}` : ""));

describe("a part inside the process of npm start", () => {
  test("is opened, closed, and opened again", async () => {
    const part = createPart();
    await part.start();
    expect(part).toMatchObject({ running: true, starting: false, pid: process.pid });
    await part.stop();
    expect(part).toMatchObject({ running: false, pid: undefined });
    await part.start();
    expect(history).toEqual(["opened", "closed", "opened"]);
    expect(reports()).toEqual(["part up", "part down", "part up"]);
  });

  test("that cannot be opened says why, and does not run", async () => {
    until = Promise.reject(new InUseError({ folder: "objects" }));
    const part = createPart();
    await expect(part.start()).rejects.toMatchObject({
      code: "ZOOID_IN_USE",
      message: expect.stringMatching(/^storage server cannot be started: .*objects.*: choose another folder with --data$/) as string,
    });
    expect(part.running).toBe(false);
    expect(reports()).toEqual([]);
  });

  test("that is killed while it is being opened is closed as soon as it is open", async () => {
    let open = (): void => undefined;
    until = new Promise((resolve) => (open = resolve));
    const part = createPart();
    const starting = part.start();
    expect(part.starting).toBe(true);
    part.kill();
    open();
    await expect(starting).rejects.toMatchObject({ message: "storage server was stopped before it was ready" });
    expect(history).toEqual(["opened", "closed"]);
    expect(part.running).toBe(false);
  });

  test("that ends by itself is reported, and can be started again", async () => {
    const part = createPart();
    await part.start();
    fail(new Error("the disk is gone"));
    await expect.poll(() => part.running).toBe(false);
    await part.start();
    expect(history).toEqual(["opened", "closed", "opened"]);
    expect(reports()).toEqual(["part up", "ended the disk is gone", "part up"]);
  });

  test("is closed while it sleeps, yet counts as running; stopped in its sleep, it is not closed twice", async () => {
    const part = createPart();
    await part.start();
    await part.sleep();
    expect(part.running).toBe(true);
    await part.wake();
    await part.sleep();
    await part.stop();
    expect(history).toEqual(["opened", "closed", "opened", "closed"]);
    expect(reports()).toEqual(["part up", "part down"]);
  });
});
