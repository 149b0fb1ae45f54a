import { Prng } from '../../base/prng.ts';
import type { AppliedEntry, StateMachine } from '../../ports/state-machine.ts';
import { concat } from './payload.ts';
import { LawBook, must, mustEqual, type Patience, type Suite, type Trial } from './suite.ts';

export interface StateMachineSubject extends Trial {
  /** A new one, empty. */
  make(): StateMachine;
  /** A command, drawn with the generator and nothing else. Few keys and many collisions find the most. */
  command(prng: Prng): Uint8Array;
  /** A query whose answer depends on the state alone. Together the queries should see all of it. */
  query(prng: Prng): Uint8Array;
  /** A text that is the same for the same state, if queries do not show everything. */
  digest?(machine: StateMachine): string;
  readonly seed?: number;
  /** Commands of a history; 300 unless told. */
  readonly commands?: number;
  readonly queries?: number;
}

const startMs = 1_700_000_000_000;

class StateMachineBench {
  readonly prng: Prng;
  readonly patience: Patience;
  readonly queries: readonly Uint8Array[];
  private readonly subject: StateMachineSubject;

  constructor(subject: StateMachineSubject, patience: Patience) {
    this.subject = subject;
    this.patience = patience;
    this.prng = new Prng(subject.seed ?? 1);
    this.queries = Array.from({ length: subject.queries ?? 100 }, () => subject.query(this.prng).slice());
  }

  make(): StateMachine {
    return this.subject.make();
  }

  /** Entries that follow those of `after`, with gaps in the index where other groups' machinery writes its own. */
  history(after: readonly AppliedEntry[] = []): readonly AppliedEntry[] {
    const { prng } = this;
    const last = after.at(-1);
    let { index, term, timeMs } = last ?? { index: 0, term: 1, timeMs: startMs };
    return Array.from({ length: this.subject.commands ?? 300 }, () => {
      index += prng.between(0, 9) === 0 ? 2 : 1;
      term += prng.between(0, 40) === 0 ? 1 : 0;
      timeMs += prng.between(0, 3) === 0 ? prng.between(1, 3000) : 0;
      return { index, term, timeMs, command: this.subject.command(prng).slice() };
    });
  }

  /** In batches as `batchMax` lets chance cut them. The machine gets bytes of its own. */
  async apply(machine: StateMachine, entries: readonly AppliedEntry[], batchMax = 16): Promise<Uint8Array[]> {
    const results: Uint8Array[] = [];
    for (let at = 0; at < entries.length; ) {
      const batch = entries.slice(at, at + this.prng.between(1, batchMax));
      const given = await machine.apply(batch.map((entry) => ({ ...entry, command: entry.command.slice() })));
      must(given.length === batch.length, `apply answered ${given.length} results for ${batch.length} commands`);
      results.push(...given.map((result) => result.slice()));
      at += batch.length;
    }
    return results;
  }

  ask(machine: StateMachine): Uint8Array[] {
    return this.queries.map((query) => machine.query(query.slice()).slice());
  }

  /** Two machines of the same state cannot be told apart: not by queries, and not by what they do next. */
  async mustBeAlike(
    machine: StateMachine,
    model: StateMachine,
    { what, after }: { readonly what: string; readonly after: readonly AppliedEntry[] },
  ): Promise<void> {
    this.mustAnswerAlike(machine, model, what);
    const next = this.history(after).slice(0, 60);
    const results = await this.apply(machine, next);
    sameResults(results, await this.apply(model, next), `${what}: the result of a later command`);
    this.mustAnswerAlike(machine, model, `${what}, after later commands`);
  }

  mustAnswerAlike(machine: StateMachine, model: StateMachine, what: string): void {
    const deadlines = [machine, model].map((either) => either.nextDeadlineMs?.() ?? null);
    must(
      deadlines[0] === deadlines[1],
      `${what}: nextDeadlineMs is ${deadlines[0]}, where ${deadlines[1]} was expected`,
    );
    if (this.subject.digest !== undefined) {
      const [seen, expected] = [this.subject.digest(machine), this.subject.digest(model)];
      must(seen === expected, `${what}: the digest is ${seen}, where ${expected} was expected`);
    }
    sameResults(this.ask(machine), this.ask(model), `${what}: the answer to a query`);
  }
}

function sameResults(seen: readonly Uint8Array[], expected: readonly Uint8Array[], what: string): void {
  must(seen.length === expected.length, `${what}: there are ${seen.length}, where ${expected.length} were expected`);
  for (const [at, bytes] of seen.entries()) mustEqual(bytes, expected[at] as Uint8Array, `${what} (number ${at})`);
}

async function collect(image: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const pieces: Uint8Array[] = [];
  for await (const piece of image) pieces.push(piece.slice());
  return pieces;
}

// oxlint-disable-next-line typescript/require-await
async function* stream(pieces: readonly Uint8Array[]): AsyncIterable<Uint8Array> {
  for (const piece of pieces) yield piece.slice();
}

const book = new LawBook<StateMachineSubject, StateMachineBench>(
  'StateMachine',
  (subject, patience) => new StateMachineBench(subject, patience),
);

book.law('the same entries give the same results and the same state', async (bench) => {
  const entries = bench.history();
  const [left, right] = [bench.make(), bench.make()];
  const results = await bench.apply(left, entries, 1);
  // Another node applies them at another time.
  await bench.patience.pause(15);
  sameResults(await bench.apply(right, entries, 1), results, 'a result on another instance');
  await bench.mustBeAlike(right, left, { what: 'another instance', after: entries });
});

book.law('how entries are cut into batches changes nothing', async (bench) => {
  const entries = bench.history();
  const single = bench.make();
  const results = await bench.apply(single, entries, 1);
  for (const batchMax of [2, 40, 100_000]) {
    const batched = bench.make();
    sameResults(await bench.apply(batched, entries, batchMax), results, `a result in batches of up to ${batchMax}`);
    bench.mustAnswerAlike(batched, single, `in batches of up to ${batchMax}`);
  }
});

book.law('apply gives one result for each command', async (bench) => {
  const machine = bench.make();
  const entries = bench.history();
  let at = 0;
  for (const size of [1, 2, 7, 50]) {
    const batch = entries.slice(at, at + size);
    at += batch.length;
    const results = await machine.apply(batch);
    must(results.length === batch.length, `it gave ${results.length} results for ${batch.length} commands`);
    must(
      results.every((result) => result instanceof Uint8Array),
      'a result is not bytes',
    );
  }
});

book.law('a query changes nothing', async (bench) => {
  const entries = bench.history();
  const [asked, left] = [bench.make(), bench.make()];
  for (let at = 0; at < entries.length; at += 50) {
    const part = entries.slice(at, at + 50);
    const results = await bench.apply(asked, part);
    const first = bench.ask(asked);
    sameResults(bench.ask(asked), first, 'the answer to a query that was asked before');
    sameResults(await bench.apply(left, part), results, 'the result of a command where nobody asked');
  }
  await bench.mustBeAlike(left, asked, { what: 'where nobody asked', after: entries });
});

book.law('commands and queries are left as they are', async (bench) => {
  const machine = bench.make();
  for (const entry of bench.history()) {
    const command = entry.command.slice();
    await machine.apply([{ ...entry, command }]);
    mustEqual(command, entry.command, 'a command after it was applied');
  }
  for (const query of bench.queries) {
    const asked = query.slice();
    machine.query(asked);
    mustEqual(asked, query, 'a query after it was answered');
  }
});

book.law("the state keeps no view of a command's bytes", async (bench) => {
  const entries = bench.history();
  const [machine, model] = [bench.make(), bench.make()];
  await bench.apply(model, entries);
  for (const entry of entries) {
    const command = entry.command.slice();
    await machine.apply([{ ...entry, command }]);
    command.fill(0xee);
  }
  await bench.mustBeAlike(machine, model, { what: 'with commands overwritten after apply', after: entries });
});

book.law('a snapshot restored is the state it was taken of', async (bench) => {
  for (const entries of [[], bench.history()]) {
    const [machine, restored] = [bench.make(), bench.make()];
    await bench.apply(machine, entries);
    await restored.restore(stream(await collect(machine.snapshot())));
    await bench.mustBeAlike(restored, machine, { what: `restored after ${entries.length} commands`, after: entries });
  }
});

book.law('restore replaces everything', async (bench) => {
  for (const entries of [[], bench.history()]) {
    const [machine, other] = [bench.make(), bench.make()];
    await bench.apply(machine, entries);
    await bench.apply(other, bench.history());
    await other.restore(stream(await collect(machine.snapshot())));
    await bench.mustBeAlike(other, machine, { what: 'restored over another state', after: entries });
  }
});

book.law('an image may come in other pieces', async (bench) => {
  const entries = bench.history();
  const machine = bench.make();
  await bench.apply(machine, entries);
  const image = concat(await collect(machine.snapshot()));
  for (const pieceMax of [1, 7, image.length]) {
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < image.length; at += pieceMax) pieces.push(image.subarray(at, at + pieceMax));
    const restored = bench.make();
    await restored.restore(stream(pieces));
    bench.mustAnswerAlike(restored, machine, `restored from pieces of ${pieceMax} bytes`);
  }
});

book.law('a snapshot is of the moment it was asked for', async (bench) => {
  const entries = bench.history();
  const [machine, model, restored] = [bench.make(), bench.make(), bench.make()];
  await bench.apply(machine, entries);
  await bench.apply(model, entries);
  const image = machine.snapshot();
  await bench.apply(machine, bench.history(entries));
  await restored.restore(stream(await collect(image)));
  await bench.mustBeAlike(restored, model, { what: 'read after later applies', after: entries });
});

book.law('what is applied while a snapshot is read does not show in it', async (bench) => {
  const entries = bench.history();
  const later = bench.history(entries);
  const [machine, model, restored] = [bench.make(), bench.make(), bench.make()];
  await bench.apply(machine, entries);
  await bench.apply(model, entries);
  const pieces: Uint8Array[] = [];
  let at = 0;
  for await (const piece of machine.snapshot()) {
    pieces.push(piece.slice());
    await bench.apply(machine, later.slice(at, at + 20), 20);
    at += 20;
  }
  await restored.restore(stream(pieces));
  await bench.mustBeAlike(restored, model, { what: 'read between applies', after: entries });
});

book.law('a snapshot does not disturb what goes on', async (bench) => {
  const entries = bench.history();
  const [imaged, left] = [bench.make(), bench.make()];
  for (let at = 0; at < entries.length; at += 60) {
    const part = entries.slice(at, at + 60);
    // Never begun, given up after its first piece, and two at once.
    imaged.snapshot();
    for await (const piece of imaged.snapshot()) if (piece.length >= 0) break;
    const [first, second] = [imaged.snapshot(), imaged.snapshot()];
    const results = await bench.apply(imaged, part);
    const images = await Promise.all([collect(first), collect(second)]);
    sameResults(await bench.apply(left, part), results, 'the result of a command where no image was taken');
    const restored = await Promise.all(
      images.map(async (pieces) => {
        const machine = bench.make();
        await machine.restore(stream(pieces));
        return machine;
      }),
    );
    bench.mustAnswerAlike(restored[0] as StateMachine, restored[1] as StateMachine, 'one of two images at once');
  }
  await bench.mustBeAlike(left, imaged, { what: 'where no image was taken', after: entries });
});

const keepsTime = (subject: StateMachineSubject): boolean => {
  const machine = subject.make();
  return machine.advanceTime !== undefined || machine.nextDeadlineMs !== undefined;
};

book.law(
  'nextDeadlineMs is a time or null, and asking changes nothing',
  async (bench) => {
    const machine = bench.make();
    for (const entry of bench.history()) {
      await machine.apply([entry]);
      const first = machine.nextDeadlineMs?.() ?? null;
      const second = machine.nextDeadlineMs?.() ?? null;
      must(first === second, `asked twice it was ${first} and ${second}`);
      must(first === null || Number.isFinite(first), `it was ${first}`);
    }
  },
  keepsTime,
);

book.law(
  'after advanceTime no deadline lies in the past, and all expire in the end',
  async (bench) => {
    const machine = bench.make();
    const entries = bench.history();
    await bench.apply(machine, entries);
    let timeMs = entries.at(-1)?.timeMs ?? startMs;
    for (let turn = 0; turn <= entries.length; turn += 1) {
      const deadlineMs = machine.nextDeadlineMs?.() ?? null;
      if (deadlineMs === null) return;
      timeMs = Math.max(timeMs, deadlineMs);
      machine.advanceTime?.(timeMs);
      const nextMs = machine.nextDeadlineMs?.() ?? null;
      // Else the leader would write entries that carry time for ever.
      must(nextMs === null || nextMs > timeMs, `advanced to ${timeMs}, the next deadline is ${nextMs}`);
    }
    throw new Error(`${entries.length} commands left more deadlines than that`);
  },
  keepsTime,
);

book.law(
  'advanceTime is the same on every instance, and twice is once',
  async (bench) => {
    const [left, right] = [bench.make(), bench.make()];
    const entries = bench.history();
    for (let at = 0; at < entries.length; at += 30) {
      const part = entries.slice(at, at + 30);
      const results = await bench.apply(left, part);
      sameResults(await bench.apply(right, part), results, 'a result on another instance');
      const timeMs = part.at(-1)?.timeMs ?? startMs;
      left.advanceTime?.(timeMs);
      right.advanceTime?.(timeMs);
      right.advanceTime?.(timeMs);
      bench.mustAnswerAlike(right, left, 'where time was advanced twice');
    }
  },
  keepsTime,
);

book.law(
  'a query that does not conflict with entries is answered the same before and after each of them',
  async (bench) => {
    const machine = bench.make();
    const entries = bench.history();
    for (let at = 0; at < entries.length; at += 4) {
      const limbo = entries.slice(at, at + 4);
      const free = bench.queries.filter((query) => machine.conflicts?.(query.slice(), limbo) === false);
      const answers = free.map((query) => machine.query(query.slice()).slice());
      for (const [number, entry] of limbo.entries()) {
        await machine.apply([{ ...entry, command: entry.command.slice() }]);
        const now = free.map((query) => machine.query(query.slice()).slice());
        sameResults(
          now,
          answers,
          `the answer to a query that did not conflict, after entry ${number} of ${limbo.length}`,
        );
      }
    }
  },
  (subject) => subject.make().conflicts !== undefined,
);

book.law(
  'after a reset it is as if it had just been made',
  async (bench) => {
    const machine = bench.make();
    await bench.apply(machine, bench.history());
    await machine.reset?.();
    const position = machine.durablePosition?.() ?? null;
    must(position === null, `after a reset the durable position is ${position?.index}`);
    await bench.mustBeAlike(machine, bench.make(), { what: 'after a reset', after: [] });
    const entries = bench.history();
    await bench.apply(machine, entries);
    await machine.reset?.();
    await machine.reset?.();
    await bench.mustBeAlike(machine, bench.make(), { what: 'after two more', after: [] });
  },
  (subject) => subject.make().reset !== undefined,
);

/** What the host relies on. */
export const stateMachineSuite: Suite<StateMachineSubject> = { port: 'StateMachine', laws: book.laws };
