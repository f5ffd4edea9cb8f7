import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { root } from "./support/source.js";

describe("finding a nats-server", () => {
  /** A project that holds nothing but the script, and a PATH of one folder. */
  let project: string;
  let bin: string;

  beforeEach(() => {
    project = realpathSync(mkdtempSync(join(tmpdir(), "zooid-set-up-")));
    bin = join(project, "bin");
    mkdirSync(bin);
    mkdirSync(join(project, "scripts"));
    copyFileSync(join(root, "scripts", "nats-server.mjs"), join(project, "scripts", "nats-server.mjs"));
  });

  afterEach(() => {
    rmSync(project, { recursive: true, force: true });
  });

  function executable(path: string, script = "exit 0"): string {
    writeFileSync(path, `#!/bin/sh\n${script}\n`);
    chmodSync(path, 0o755);
    return path;
  }

  function find(flags: readonly string[] = [], env: Record<string, string> = {}) {
    const { status, stdout, stderr } = spawnSync(process.execPath, ["scripts/nats-server.mjs", ...flags], {
      cwd: project,
      encoding: "utf8",
      env: { PATH: bin, ...env },
    });
    return { status, path: stdout.trim(), lines: stderr.trim() };
  }

  function unpacked(): string {
    const folder = join(project, ".cache", "nats-server", "nats-server_1_all", "usr", "sbin");
    mkdirSync(folder, { recursive: true });
    return executable(join(folder, "nats-server"));
  }

  test("NATS_SERVER comes before PATH, and PATH before an unpacked server", () => {
    const inCache = unpacked();
    expect(find().path).toBe(inCache);
    const onPath = executable(join(bin, "nats-server"));
    expect(find().path).toBe(onPath);
    const named = executable(join(project, "my-server"));
    expect(find([], { NATS_SERVER: named }).path).toBe(named);
  });

  test("a NATS_SERVER that cannot be run is an error that names it, even when another server exists", () => {
    unpacked();
    expect(find([], { NATS_SERVER: "nowhere/nats-server" })).toEqual({
      status: 1,
      path: "",
      lines: "zooid: NATS_SERVER is nowhere/nats-server, which is not an executable file",
    });
  });

  test("without a server and without apt, one line says how to get one", () => {
    const { status, lines } = find(["--provide"]);
    expect(status).toBe(1);
    expect(lines.split("\n")).toHaveLength(1);
    expect(lines).toContain("NATS_SERVER");
  });

  test("where apt exists, a server is downloaded and unpacked once, without being installed", () => {
    const calls = join(project, "calls");
    executable(join(bin, "apt-get"), `echo "$@" >> ${calls}; : > nats-server_9_all.deb`);
    executable(
      join(bin, "dpkg-deb"),
      `/bin/mkdir -p "$3/usr/sbin"; echo '#!/bin/sh' > "$3/usr/sbin/nats-server"; /bin/chmod 755 "$3/usr/sbin/nats-server"`,
    );
    const first = find(["--provide"]);
    expect(first.path).toBe(join(project, ".cache", "nats-server", "nats-server_9_all", "usr", "sbin", "nats-server"));
    expect(first.lines).toContain("fetching nats-server");
    expect(find(["--provide"])).toEqual({ status: 0, path: first.path, lines: "" });
    expect(readFileSync(calls, "utf8")).toBe("download nats-server\n");
  });

  test("a download that fails leaves nothing behind and says what apt said", () => {
    executable(join(bin, "apt-get"), `echo "E: Unable to locate package nats-server" >&2; exit 100`);
    executable(join(bin, "dpkg-deb"));
    const { status, lines } = find(["--provide"]);
    expect(status).toBe(1);
    expect(lines).toContain("Unable to locate package");
    expect(existsSync(join(project, ".cache"))).toBe(false);
  });
});

test("set-up does nothing and prints nothing when nothing is missing", () => {
  const setUp = () => spawnSync(process.execPath, ["scripts/set-up.mjs"], { cwd: root, encoding: "utf8" });
  setUp();
  expect(setUp()).toMatchObject({ status: 0, stdout: "", stderr: "" });
});
