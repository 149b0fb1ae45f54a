import type { RegisterCommand } from 'nori-raft/testkit/linearizability';

/** A command as a client sent it, or as Jepsen names it; a string is what is wrong with it. */
export function commandOf(line: Readonly<Record<string, unknown>>): RegisterCommand | string {
  if (Array.isArray(line['command'])) return redisCommand(line['command'].map(textOf));
  if (line['command'] !== undefined) return '"command" must be an array such as ["SET","k","v"]';
  if (typeof line['f'] === 'string') return jepsenCommand(line['f'], line['key'] ?? 'register', line['value']);
  return 'neither "command" nor "f" says what was called';
}

export function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : null;
}

const known = 'GET, SET, SET .. IFEQ, DEL, SETNX, INCR, INCRBY, DECR, DECRBY and APPEND are known';

function redisCommand(words: readonly (string | null)[]): RegisterCommand | string {
  const [first, key, ...rest] = words;
  if (first === null || first === undefined) return 'a command starts with its name';
  if (words.includes(null)) return 'the words of a command are strings or numbers';
  if (key === null || key === undefined) return `${first} names no key`;
  const name = first.toUpperCase();
  const [value, option, expected] = rest as string[];
  switch (`${name} ${rest.length}`) {
    case 'GET 0':
    case 'DEL 0':
      return { name: name as 'GET' | 'DEL', key };
    case 'SET 1':
    case 'SETNX 1':
    case 'APPEND 1':
      return { name: name as 'SET' | 'SETNX' | 'APPEND', key, value: value as string };
    case 'SET 3':
      if (option?.toUpperCase() !== 'IFEQ') break;
      return { name: 'CAS', key, value: value as string, expected: expected as string };
    case 'INCR 0':
      return { name: 'INCRBY', key, by: 1n };
    case 'DECR 0':
      return { name: 'INCRBY', key, by: -1n };
    case 'INCRBY 1':
    case 'DECRBY 1': {
      if (!/^[+-]?\d{1,19}$/.test(value as string)) return `${name} needs a whole number`;
      const by = BigInt((value as string).replace('+', ''));
      return { name: 'INCRBY', key, by: name === 'INCRBY' ? by : -by };
    }
    default:
  }
  return `cannot judge ${JSON.stringify(words.join(' '))}; ${known}`;
}

function jepsenCommand(f: string, keyGiven: unknown, value: unknown): RegisterCommand | string {
  const key = textOf(keyGiven);
  if (key === null) return '"key" must be a string or a number';
  switch (f) {
    case 'read':
      return { name: 'GET', key };
    case 'write': {
      const written = textOf(value);
      return written === null ? 'a write needs a "value"' : { name: 'SET', key, value: written };
    }
    case 'cas': {
      const [expected, next] = Array.isArray(value) && value.length === 2 ? value.map(textOf) : [null, null];
      if (expected === null || next === null || expected === undefined || next === undefined) {
        return 'a cas needs "value":[expected,new]';
      }
      return { name: 'CAS', key, expected, value: next };
    }
    default:
      return `cannot judge f ${JSON.stringify(f)}; read, write and cas are known`;
  }
}
