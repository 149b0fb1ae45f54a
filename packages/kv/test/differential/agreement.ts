import { decodeResult } from '../../src/resp/result.ts';

const times = new Set(['ttl', 'pttl', 'expiretime', 'pexpiretime']);
/** Beyond it (in the year 279541) ours are not exact, and in the end all the same. */
const farthestMs = 2 ** 53 - 2 ** 47;
const unordered = new Set(['keys']);

/** Ours and theirs list keys in different orders, which both are free to. */
const sorted = (keys: readonly Buffer[]): string =>
  keys
    .map((key) => key.toString('latin1'))
    .sort((left, right) => (left < right ? -1 : 1))
    .join('\n');

const decoded = (reply: Buffer): unknown => decodeResult(Buffer.concat([Buffer.of(0), reply]));

/** A reply with what no two servers have in common taken out: orders, clocks, ids. */
function comparable(args: readonly Buffer[], reply: Buffer): string {
  const [name = '', sub = ''] = args.slice(0, 2).map((word) => word.toString('latin1', 0, 64).toLowerCase());
  const isArray = reply[0] === 0x2a;
  if (isArray && (unordered.has(name) || (name === 'cluster' && sub === 'getkeysinslot')))
    return sorted(decoded(reply) as Buffer[]);
  if (isArray && name === 'scan') {
    const [cursor, keys] = decoded(reply) as [Buffer, Buffer[]];
    return `${cursor.toString()}\n${sorted(keys)}`;
  }
  // A pattern's names come in any order.
  if (name === 'config' && sub === 'get' && (isArray || reply[0] === 0x25)) return configPairs(reply);
  if (name === 'randomkey' && reply[0] === 0x24) return reply[1] === 0x2d ? 'no key' : 'a key';
  // How many replicas there are is not a matter of agreement.
  if (name === 'wait' && reply[0] === 0x3a) return 'a count';
  if (name === 'time' && isArray) return 'a time';
  // An error of Redis ends at a NUL that is echoed.
  if (reply[0] === 0x2d)
    return reply
      .toString('latin1')
      .split(/\0|\r\n/, 1)
      .join('');
  if (name === 'hello') return reply.toString('latin1').replace(/\$2\r\nid\r\n:\d+/, 'id');
  return reply.toString('latin1');
}

function configPairs(reply: Buffer): string {
  const array =
    reply[0] === 0x25 ? Buffer.from(`*${2 * Number(reply.toString('latin1', 1, reply.indexOf('\r')))}`) : null;
  const words = decoded(
    array === null ? reply : Buffer.concat([array, reply.subarray(reply.indexOf('\r'))]),
  ) as Buffer[];
  const pairs = Array.from({ length: words.length / 2 }, (_, at) => words.slice(2 * at, 2 * at + 2).join(' '));
  return `${reply[0]}\n${pairs.sort().join('\n')}`;
}

export function agrees(args: readonly Buffer[], theirs: Buffer, ours: Buffer): boolean {
  // Redis looks at the slots of keys first, ours at what is wrong whatever the keys are.
  if (theirs.toString('latin1', 0, 10) === '-CROSSSLOT' && ours[0] === 0x2d) return true;
  const name = (args[0] as Buffer).toString('latin1', 0, 64).toLowerCase();
  if (times.has(name) && theirs[0] === 0x3a && ours[0] === 0x3a) {
    const farthest = farthestMs / (name.startsWith('p') ? 1 : 1000);
    const [left, right] = [theirs, ours].map((reply) =>
      Math.min(farthest, Number(reply.toString('latin1', 1, reply.length - 2))),
    ) as [number, number];
    // Relative times start at each server's own now.
    return Math.sign(left) === Math.sign(right) && Math.abs(left - right) <= (name.startsWith('p') ? 2000 : 2);
  }
  return comparable(args, theirs) === comparable(args, ours);
}
