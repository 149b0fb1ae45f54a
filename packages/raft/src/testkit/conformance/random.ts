import type { Random } from '../../ports/random.ts';
import { LawBook, must, type Suite, type Trial } from './suite.ts';

export interface RandomSubject extends Trial {
  readonly random: Random;
}

const book = new LawBook<RandomSubject, Random>('Random', ({ random }) => random);

book.law('uint32 gives whole numbers of 32 bits, and every bit is chance', async (random) => {
  let ones = 0;
  let zeros = 0;
  for (let turn = 0; turn < 1000; turn += 1) {
    const value = random.uint32();
    must(Number.isInteger(value) && value >= 0 && value < 2 ** 32, `it gave ${value}`);
    ones |= value;
    zeros |= ~value;
  }
  must(ones === -1 && zeros === -1, 'a bit was the same a thousand times');
});

book.law('bytes gives as many as were asked for', async (random) => {
  for (const length of [0, 1, 8, 16, 1000]) {
    const given = random.bytes(length).length;
    must(given === length, `it gave ${given} bytes where ${length} were asked for`);
  }
});

book.law("bytes gives memory of the caller's own", async (random) => {
  const first = random.bytes(64);
  const before = first.slice();
  const second = random.bytes(64);
  must(
    first.every((byte, at) => byte === before[at]),
    'earlier bytes changed when more were asked for',
  );
  must(first.buffer !== second.buffer || first.byteOffset !== second.byteOffset, 'it gave the same memory twice');
});

book.law('identities do not repeat', async (random) => {
  const seen = new Set<string>();
  for (let turn = 0; turn < 1000; turn += 1) seen.add(random.bytes(16).join());
  must(seen.size === 1000, `of 1000 times 16 bytes ${seen.size} were different`);
});

/** What seeds, nonces and disk identities rely on. */
export const randomSuite: Suite<RandomSubject> = { port: 'Random', laws: book.laws };
