/**
 * The services of docker-compose.yml as processes of this machine: their commands, environments and mounts, without
 * images.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { built } from "./built.js";
import { requireNatsServer } from "../../scripts/nats-server.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));

export interface ComposedService {
  readonly image?: string;
  readonly build?: { readonly context: string; readonly target: string };
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly ports?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: { readonly test: readonly string[] };
}

export interface ComposeFile {
  readonly services: Readonly<Record<string, ComposedService>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

/** docker-compose.yml, with its merge keys resolved. */
export function readComposeFile(): ComposeFile {
  return parse(readFileSync(join(root, "docker-compose.yml"), "utf8"), { merge: true }) as ComposeFile;
}

/** The instructions of a stage of the Dockerfile, preceded by those of the stages that it builds on. */
export function readStage(target: string): readonly { readonly instruction: string; readonly text: string }[] {
  const stages = new Map<string, { readonly base: string; readonly lines: { instruction: string; text: string }[] }>();
  let lines: { instruction: string; text: string }[] = [];
  for (const line of readFileSync(join(root, "Dockerfile"), "utf8").split("\n")) {
    const [, instruction = "", text = ""] = /^([A-Z]+) (.*)$/.exec(line) ?? [];
    const from = instruction === "FROM" ? /^(\S+) AS (\S+)$/.exec(text) : null;
    if (from !== null) stages.set(from[2] ?? "", { base: from[1] ?? "", lines: (lines = []) });
    else if (instruction !== "") lines.push({ instruction, text });
  }
  const collect = (name: string): readonly { instruction: string; text: string }[] => {
    const stage = stages.get(name);
    return stage === undefined ? [] : [...collect(stage.base), ...stage.lines];
  };
  return collect(target);
}

/** The entry point of the image of a stage, in exec form. */
export function entrypointOf(target: string): readonly string[] {
  const last = readStage(target).findLast(({ instruction }) => instruction === "ENTRYPOINT");
  return JSON.parse(last?.text ?? "[]") as readonly string[];
}

export interface ComposedOptions {
  readonly folder: string;
  /** Local port by `service:port` of the compose file. */
  readonly ports: Readonly<Record<string, number>>;
}

/** One service, started and stopped as its container would be. */
export class ComposedProcess {
  readonly name: string;
  readonly #service: ComposedService;
  readonly #options: ComposedOptions;
  #child: ChildProcess | undefined;
  #err = "";

  constructor(name: string, service: ComposedService, options: ComposedOptions) {
    this.name = name;
    this.#service = service;
    this.#options = options;
  }

  /** Resolves with the first output line, on stdout or stderr, that satisfies `isReady`. */
  async start(isReady: (line: string) => boolean): Promise<void> {
    const [command = "", ...words] = this.#commandLine([...this.#entrypoint(), ...(this.#service.command ?? [])]);
    const child = this.#spawn(command, words);
    this.#child = child;
    await new Promise<void>((resolve, reject) => {
      const take = (line: string) => {
        this.#err += `${line}\n`;
        if (isReady(line)) resolve();
      };
      for (const output of [child.stdout, child.stderr]) if (output !== null) createInterface({ input: output }).on("line", take);
      child.once("exit", (code) => reject(new Error(`${this.name} ended with ${code}: ${this.#err}`)));
    });
  }

  /** Stops the process as Docker does; resolves to its exit code. */
  async stop(): Promise<number | null> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null) return child?.exitCode ?? null;
    child.kill("SIGTERM");
    const [code] = (await once(child, "exit")) as [number | null];
    return code;
  }

  kill(): void {
    this.#child?.kill("SIGKILL");
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /** Exit code of its health check. */
  async checkHealth(): Promise<number | null> {
    const [kind, ...test] = this.#service.healthcheck?.test ?? [];
    if (kind !== "CMD") throw new Error(`${this.name} has no health check in exec form`);
    const [command = "", ...words] = this.#commandLine(test);
    const child = this.#spawn(command, words);
    child.stdout?.resume();
    child.stderr?.resume();
    const [code] = (await once(child, "exit")) as [number | null];
    return code;
  }

  #spawn(command: string, words: readonly string[]): ChildProcess {
    const environment = Object.entries(this.#service.environment ?? {}).map(([name, value]) => [name, this.#here(value)] as const);
    return spawn(command, words, {
      cwd: root,
      env: { ...process.env, ...Object.fromEntries(environment) },
      stdio: ["ignore", "pipe", "pipe"],
    });
  }

  #entrypoint(): readonly string[] {
    const { build } = this.#service;
    // The entry point of the NATS image adds the program's name before flags.
    return build === undefined ? ["nats-server"] : entrypointOf(build.target);
  }

  /** Replaces programs and paths of the image by those of this machine. */
  #commandLine(words: readonly string[]): readonly string[] {
    return words.flatMap((word, index) => {
      if (word === "nats-server" && index === 0) return [requireNatsServer()];
      if (word === "zooid" && index === 0) return [process.execPath, built("cli/zooid.js")];
      if (word === "node" && index === 0) return [process.execPath];
      return [this.#here(word)];
    });
  }

  /** A word or variable, with its addresses and paths replaced by those of this machine. */
  #here(text: string): string {
    const mount = (this.#service.volumes ?? []).find((volume) => volume.split(":")[1] === text);
    if (mount !== undefined) return this.#mounted(mount);
    const port = this.#options.ports[`${this.name}:${text}`];
    if (port !== undefined) return String(port);
    if (text === "0.0.0.0") return "127.0.0.1";
    return text.replaceAll(/\b([a-z-]+|127\.0\.0\.1):(\d{4})\b/g, (address, host: string, there: string) => {
      const here = this.#options.ports[`${host === "127.0.0.1" ? this.name : host}:${there}`];
      return here === undefined ? address : `127.0.0.1:${here}`;
    });
  }

  /** A named volume becomes a folder. A file is copied, with the addresses and volumes in its text replaced. */
  #mounted(volume: string): string {
    const [source = "", target = ""] = volume.split(":");
    if (!source.startsWith("./")) {
      const folder = join(this.#options.folder, source);
      mkdirSync(folder, { recursive: true });
      return folder;
    }
    const text = readFileSync(join(root, source), "utf8")
      // nats-server 2.9, which the tests also run with, does not know this option.
      .replace(/^ *sync_interval: always\n/m, isOldNatsServer() ? "" : "$&")
      .replaceAll(/0\.0\.0\.0:(\d+)/g, (_, port: string) => `127.0.0.1:${this.#options.ports[`${this.name}:${port}`] ?? port}`)
      .replaceAll(/(?<=\s)\/\w+(?=\s)/g, (path) => this.#here(path));
    const copy = join(this.#options.folder, target.replaceAll("/", "-"));
    writeFileSync(copy, text);
    return copy;
  }
}

function isOldNatsServer(): boolean {
  return execFileSync(requireNatsServer(), ["--version"], { encoding: "utf8" }).includes(" v2.9.");
}
