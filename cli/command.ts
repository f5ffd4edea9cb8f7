import process from "node:process";
import { Command } from "commander";
import { readSwitchVariables } from "./parsing.js";

/** A command, and its subcommands. */
export class CliCommand extends Command {
  /** The command of this process. `main` prints its errors in one line; Commander prints only help. */
  static root(name: string): CliCommand {
    return new CliCommand(name)
      .showSuggestionAfterError()
      .exitOverride()
      .hook("preAction", (_, command) => readSwitchVariables(command, process.env))
      .configureOutput({ writeErr: () => undefined });
  }

  override createCommand(name?: string): CliCommand {
    return new CliCommand(name);
  }

  /** Shows `text` below the options in the help of this command. */
  notes(text: string): this {
    return this.addHelpText("after", text);
  }
}
