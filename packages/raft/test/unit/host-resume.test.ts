import { expect, test } from 'vitest';
import type { AppliedEntry, AppliedPosition, StateMachine } from '../../src/ports/state-machine.ts';
import { bytes, HostWorld, type Machine, text } from '../support/host-world.test-support.ts';

/** What a state machine keeps on a disk of its own: all commands, the position of the last one that is safe, and how many that are. */
class Shelf {
  commands: string[] = [];
  position: AppliedPosition | null = null;
  safe = 0;
}

/** Writes through to its shelf; what was not made safe is gone after a crash. */
class Shelved implements StateMachine {
  readonly given: number[] = [];
  private readonly shelf: Shelf;

  constructor(shelf: Shelf) {
    this.shelf = shelf;
    shelf.commands = shelf.commands.slice(0, shelf.safe);
  }

  apply(entries: readonly AppliedEntry[]): Uint8Array[] {
    return entries.map(({ index, term, command }) => {
      this.given.push(index);
      const count = this.shelf.commands.push(text(command));
      if (text(command).startsWith('safe')) {
        this.shelf.position = { index, term };
        this.shelf.safe = count;
      }
      return bytes(String(count));
    });
  }

  query(): Uint8Array {
    return bytes(this.shelf.commands.join(' '));
  }

  async *snapshot(): AsyncIterable<Uint8Array> {}
  async restore(): Promise<void> {}
  durablePosition(): AppliedPosition | null {
    return this.shelf.position;
  }
}

interface Shelves {
  readonly world: HostWorld;
  readonly shelves: Map<string, Shelf>;
  readonly machines: Map<string, Shelved>;
}

async function elected(hosts = 3): Promise<Shelves> {
  const shelves = new Map<string, Shelf>();
  const machines = new Map<string, Shelved>();
  const machine = (id: string): Shelved => {
    const shelf = shelves.get(id) ?? new Shelf();
    shelves.set(id, shelf);
    const made = new Shelved(shelf);
    machines.set(id, made);
    return made;
  };
  return { world: await HostWorld.elected({ hosts, machine }), shelves, machines };
}

async function execute({ world }: Shelves, ...commands: string[]): Promise<void> {
  for (const command of commands) await world.settled(world.leading().host.execute(1, bytes(command)));
}

test('after a restart only what the state machine has not kept is applied again', async () => {
  const all = await elected();
  const { world, shelves, machines } = all;
  await execute(all, 'a', 'safe', 'b', 'c');
  const follower = world.machines.find((machine) => machine !== world.leading()) as Machine;
  await world.until(() => shelves.get(follower.id)?.commands.length === 4);
  const kept = shelves.get(follower.id)?.position ?? { index: 0 };
  world.powerCut(follower);
  await execute(all, 'd');
  await world.start(follower);
  await world.until(() => shelves.get(follower.id)?.commands.length === 5);
  expect(shelves.get(follower.id)?.commands).toEqual(['a', 'safe', 'b', 'c', 'd']);
  expect(machines.get(follower.id)?.given[0]).toBe(kept.index + 1);
  await world.close();
});

test('what it has kept is committed: a node alone serves it before anything is written in its new term', async () => {
  const all = await elected(1);
  const { world, machines } = all;
  await execute(all, 'a', 'b', 'safe');
  const machine = world.machines[0] as Machine;
  world.powerCut(machine);
  await world.start(machine);
  const answer = await world.settled(machine.host.read(1, bytes(''), { consistency: 'stale' }));
  expect(text(answer.result)).toBe('a b safe');
  await world.until(() => world.leader() !== null);
  expect(machines.get('n1')?.given).toEqual([]);
  await world.close();
});

const strangers: readonly (readonly [string, AppliedPosition, RegExp])[] = [
  ['of a longer log', { index: 99, term: 1 }, /holds entry 99 of term 1, and the log ends at/],
  ['of another log', { index: 3, term: 77 }, /holds entry 3 of term 77, and the log has one of term \d+ there/],
];
test.each(strangers)('a state %s is refused', async (_, position, message) => {
  const all = await elected(1);
  const { world, shelves } = all;
  await execute(all, 'a', 'b', 'c');
  const machine = world.machines[0] as Machine;
  world.powerCut(machine);
  (shelves.get('n1') as Shelf).position = position;
  const error = await world.failure(world.start(machine));
  expect(error).toMatchObject({ code: 'STATE_FOREIGN' });
  expect((error as unknown as Error).message).toMatch(message);
});

test('a store of its own is never ahead of the log of its node, however slow the disk of that is', async () => {
  const all = await elected();
  const { world, shelves } = all;
  await execute(all, 'a');
  const follower = world.machines.find((machine) => machine !== world.leading()) as Machine;
  await world.until(() => shelves.get(follower.id)?.commands.length === 1);
  follower.syncMs = 200;
  await execute(all, 'safe 1', 'safe 2', 'safe 3');
  await world.run(100);
  world.crash(follower);
  follower.syncMs = 0;
  await world.start(follower);
  expect(follower.statusOf(1)?.quarantine).toBeNull();
  await world.until(() => shelves.get(follower.id)?.commands.length === 4);
  await world.close();
});
