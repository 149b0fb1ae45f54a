import type { Reply } from '../resp/reply.ts';
import { CommandError } from './errors.ts';
import { compileGlob } from './glob.ts';
import { type CommandSpec, commandTable, findCommand, keyPositions } from './command-table.ts';
import { checkArity } from './validate.ts';

/** Answers COMMAND and its subcommands from the table. The arguments have been validated. */
export function commandReply(args: readonly Buffer[]): Reply {
  const names = args.slice(2).map((name) => name.toString('latin1', 0, 64));
  switch (args[1]?.toString('latin1', 0, 16).toLowerCase()) {
    case undefined:
      return commandTable.map(describe);
    case 'count':
      return commandTable.length;
    case 'info':
      return names.length === 0 ? commandTable.map(describe) : names.map((name) => describeOrNull(findCommand(name)));
    case 'docs':
      return { map: chosen(names).map((spec) => [spec.name, document(spec)] as const) };
    case 'list':
      return listed(args.slice(2).map(String));
    case 'getkeys':
      return keysOf(args.slice(2));
    default:
      return ['COMMAND [COUNT | DOCS [name ...] | GETKEYS command ... | INFO [name ...] | LIST]'];
  }
}

/** `LIST`, `LIST FILTERBY MODULE name | ACLCAT category | PATTERN pattern`. */
function listed(words: readonly string[]): Reply {
  const filter = listFilter(words);
  return filter === null ? { error: CommandError.syntax } : commandTable.filter(filter).map((spec) => spec.name);
}

function listFilter(words: readonly string[]): ((spec: CommandSpec) => boolean) | null {
  const [option, kind, value] = words.map((word) => word.toLowerCase());
  if (option === undefined) return () => true;
  if (option !== 'filterby' || value === undefined || words.length > 3) return null;
  if (kind === 'module') return () => false;
  if (kind === 'aclcat') return (spec) => categoryOf(spec) === `@${value}`;
  const matches = compileGlob(value);
  return kind === 'pattern' ? (spec) => matches(spec.name) : null;
}

function categoryOf(spec: CommandSpec): string {
  return spec.kind === 'local' ? '@connection' : spec.kind === 'write' ? '@write' : '@read';
}

function chosen(names: readonly string[]): readonly CommandSpec[] {
  if (names.length === 0) return commandTable;
  return names.map(findCommand).filter((spec) => spec !== undefined);
}

function describe(spec: CommandSpec): Reply {
  return [
    spec.name,
    spec.arity,
    { set: spec.flags.map((flag) => ({ simple: flag })) },
    spec.firstKey,
    spec.lastKey,
    spec.keyStep,
    { set: [{ simple: categoryOf(spec) }] },
    { set: [] },
    { set: [] },
    [],
  ];
}

const describeOrNull = (spec: CommandSpec | undefined): Reply => (spec === undefined ? null : describe(spec));

function document(spec: CommandSpec): Reply {
  return {
    map: [
      ['summary', spec.summary],
      ['group', spec.group],
    ],
  };
}

function keysOf(args: readonly Buffer[]): Reply {
  const spec = findCommand((args[0] as Buffer).toString('latin1', 0, 64));
  if (spec === undefined) return { error: 'ERR Invalid command specified' };
  if (spec.firstKey === 0) return { error: 'ERR The command has no key arguments' };
  if (checkArity(args, spec) !== null) return { error: 'ERR Invalid number of arguments specified for command' };
  return keyPositions(spec, args.length).map((at) => args[at] as Buffer);
}
