import type { RegisterCommand } from 'nori-raft/testkit/linearizability';

/** The command as a client sends it. */
export function wordsOf(command: RegisterCommand): string[] {
  switch (command.name) {
    case 'GET':
    case 'DEL':
      return [command.name, command.key];
    case 'CAS':
      return ['SET', command.key, command.value, 'IFEQ', command.expected];
    case 'INCRBY':
      return ['INCRBY', command.key, String(command.by)];
    default:
      return [command.name, command.key, command.value];
  }
}
