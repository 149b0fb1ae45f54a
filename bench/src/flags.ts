import { parseArgs } from 'node:util';

type Option =
  | { readonly type: 'string'; readonly default: string }
  | { readonly type: 'boolean'; readonly default: boolean };
type Values<T> = { [Name in keyof T]: T[Name] extends { readonly type: 'boolean' } ? boolean : string };

/** The flags of this run; one that nobody knows ends it with the list of those there are. */
export function flags<T extends Record<string, Option>>(options: T): Values<T> {
  try {
    // Every option has a default, so every one has a value of its type: more than parseArgs says of options it cannot see.
    const values: unknown = parseArgs({ options }).values;
    return values as Values<T>;
  } catch (error) {
    console.error((error as Error).message);
    for (const [name, { default: value }] of Object.entries(options)) console.error(`  --${name} (default ${value})`);
    return process.exit(2);
  }
}
