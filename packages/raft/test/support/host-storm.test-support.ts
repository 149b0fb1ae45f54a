import type { NoriError } from '../../src/base/errors.ts';
import { Prng } from '../../src/base/prng.ts';
import { bytes, HostWorld, type Machine, text } from './host-world.test-support.ts';

const groups = [1, 2] as const;

interface Sent {
  readonly group: number;
  readonly name: string;
  readonly floor: number;
  answer: 'none' | 'acknowledged' | 'notApplied' | 'unknown';
  answers: number;
  place: number;
}

export interface StormFacts {
  acknowledged: number;
  reads: number;
  crashes: number;
  cuts: number;
  diskFailures: number;
  unknown: number;
  notApplied: number;
}

/** Whole hosts under crashes, power cuts, partitions, lost connections and bad disks; what users were told is checked. */
export class HostStorm {
  readonly facts: StormFacts = {
    acknowledged: 0,
    reads: 0,
    crashes: 0,
    cuts: 0,
    diskFailures: 0,
    unknown: 0,
    notApplied: 0,
  };
  private readonly seed: number;
  private readonly world: HostWorld;
  private readonly prng: Prng;
  private readonly sent: Sent[] = [];
  /** The largest count of commands that was acknowledged or read, by group: no later read may show less. */
  private readonly seen = new Map<number, number>(groups.map((group) => [group, 0]));
  private readonly down = new Map<Machine, number>();
  private readonly starting = new Set<Machine>();
  private failed: Error | null = null;

  private constructor(seed: number, world: HostWorld) {
    this.seed = seed;
    this.world = world;
    this.prng = new Prng(seed * 7 + 3);
  }

  static async run(seed: number, stormMs: number): Promise<StormFacts> {
    const world = await HostWorld.elected({ seed, groups, config: { commitTimeoutMs: 800 } });
    const storm = new HostStorm(seed, world);
    await storm.blow(stormMs);
    await storm.calm();
    storm.check();
    await world.close();
    return storm.facts;
  }

  private async blow(stormMs: number): Promise<void> {
    const { world, prng } = this;
    world.network.chunkBytesMax = prng.between(16, 4096);
    world.network.resetChance = prng.between(0, 2) === 0 ? 0.002 : 0;
    for (let at = 0; at < stormMs; at += 1) {
      if (this.chance(0.12)) this.propose();
      if (this.chance(0.06)) this.read();
      if (this.chance(0.006)) this.disturb();
      this.restartDue();
      await world.run(1);
    }
  }

  private disturb(): void {
    const { world, prng } = this;
    const machine = world.machines[prng.between(0, 2)] as Machine;
    if (machine.current === null) return;
    switch (prng.between(0, 6)) {
      case 0:
      case 1:
        this.facts.crashes += 1;
        if (this.chance(0.5)) world.powerCut(machine);
        else world.crash(machine);
        this.fixDisk(machine);
        this.down.set(machine, world.clock.nowMs() + prng.between(0, 600));
        return;
      case 2:
        this.facts.cuts += 1;
        world.isolate(machine);
        return;
      case 3:
        world.network.heal();
        return;
      case 4:
        machine.syncMs = this.chance(0.3) ? 700 : prng.between(0, 20);
        return;
      case 5:
        if (!this.chance(0.4)) return;
        this.facts.diskFailures += 1;
        this.breakDisk(machine);
        return;
      default:
        machine.current.transferLeadership(prng.between(1, 2)).catch(() => undefined);
    }
  }

  private breakDisk(machine: Machine): void {
    const code = this.chance(0.5) ? 'EIO' : 'ENOSPC';
    const half = this.prng.between(0, 1) === 0;
    machine.disk.judge = (operation) => {
      if (operation === 'write') return half ? { short: 7 } : { error: code };
      return operation === 'sync' && code === 'EIO' ? { error: code } : 'pass';
    };
    this.down.set(machine, this.world.clock.nowMs() + this.prng.between(100, 600));
  }

  private fixDisk(machine: Machine): void {
    machine.disk.judge = () => 'pass';
    machine.syncMs = 0;
  }

  /** What was down, or was given a broken disk, is killed if need be and started again. */
  private restartDue(): void {
    for (const [machine, atMs] of this.down) {
      if (atMs > this.world.clock.nowMs() || this.starting.has(machine)) continue;
      this.down.delete(machine);
      if (machine.current !== null) this.world.crash(machine);
      this.fixDisk(machine);
      this.starting.add(machine);
      this.world.start(machine).then(
        () => this.starting.delete(machine),
        (error: unknown) => {
          this.starting.delete(machine);
          const expected = (error as NoriError).code === 'CLOSED' || (error as NoriError).code === 'DISK_FAILED';
          if (!expected) this.failed = error as Error;
          this.down.set(machine, this.world.clock.nowMs() + 50);
        },
      );
    }
  }

  private propose(): void {
    const { world, prng } = this;
    const machine = world.machines[prng.between(0, 2)] as Machine;
    const group = prng.between(1, 2);
    const host = machine.current;
    if (host === null || this.starting.has(machine)) return;
    const name = `c${this.sent.length}${'.'.repeat(prng.between(0, 3) === 0 ? 900 : 0)}`;
    const command: Sent = { group, name, floor: this.seenOf(group), answer: 'none', answers: 0, place: 0 };
    this.sent.push(command);
    host.submit(group, bytes(name), {}, (error, _index, result) => {
      command.answers += 1;
      if (error !== null) {
        command.answer = error.outcome === 'notApplied' ? 'notApplied' : 'unknown';
        if (error.outcome === 'none') this.failed = error;
        this.facts[command.answer] += 1;
        return;
      }
      command.answer = 'acknowledged';
      command.place = Number(text(result));
      this.facts.acknowledged += 1;
      this.saw(group, command.place);
    });
  }

  private read(): void {
    const { world, prng } = this;
    const machine = world.machines[prng.between(0, 2)] as Machine;
    const group = prng.between(1, 2);
    const host = machine.current;
    if (host === null || this.starting.has(machine)) return;
    const floor = this.seenOf(group);
    const check = (count: number): void => {
      this.facts.reads += 1;
      if (count < floor) this.failed = new Error(`group ${group}: read ${count} after ${floor} was seen`);
      this.saw(group, count);
    };
    if (this.chance(0.7)) {
      host.query(group, bytes(''), {}, (error, _proof, result) =>
        error === null ? check(Number(text(result))) : undefined,
      );
      return;
    }
    const ledger = machine.ledger(group);
    host.readIndex(group).then(
      () => check(ledger.commands.length),
      () => undefined,
    );
  }

  private seenOf(group: number): number {
    return this.seen.get(group) ?? 0;
  }

  private saw(group: number, count: number): void {
    this.seen.set(group, Math.max(this.seenOf(group), count));
  }

  private chance(of: number): boolean {
    return this.prng.fraction() < of;
  }

  /** Everything heals: then there is a leader within 5 s, new commands are taken, and all replicas become the same. */
  private async calm(): Promise<void> {
    const { world } = this;
    world.network.resetChance = 0;
    world.network.heal();
    for (const machine of world.machines) {
      if (machine.current !== null && machine.current.status().state !== 'running') world.crash(machine);
      this.fixDisk(machine);
      if (machine.current === null && !this.starting.has(machine)) this.down.set(machine, 0);
    }
    const deadlineMs = world.clock.nowMs() + 20_000;
    for (const group of groups) {
      for (let done = false; !done; ) {
        if (world.clock.nowMs() > deadlineMs) throw new Error(`seed ${this.seed}: group ${group} did not come back`);
        this.restartDue();
        await world.run(20);
        const leader = world.leader(group);
        if (leader === null || this.down.size > 0 || this.starting.size > 0) continue;
        const last = await world.settled(
          leader.host.execute(group, bytes(`last ${world.clock.nowMs()}`)).then(
            () => true,
            () => false,
          ),
        );
        done = last;
      }
    }
    await world.until(() =>
      groups.every((group) => new Set(world.machines.map((m) => m.ledger(group).commands.join())).size === 1),
    );
    await world.run(1000);
  }

  private check(): void {
    const { seed, world } = this;
    if (this.failed !== null) throw new Error(`seed ${seed}: ${this.failed.message}`, { cause: this.failed });
    for (const machine of world.machines) {
      for (const { halted } of machine.host.status().groups)
        if (halted !== null) throw new Error(`seed ${seed}: ${halted}`);
    }
    for (const group of groups) this.checkGroup(group, (world.machines[0] as Machine).ledger(group).commands);
  }

  private checkGroup(group: number, commands: readonly string[]): void {
    const fail = (why: string): never => {
      throw new Error(`seed ${this.seed}: group ${group}: ${why}`);
    };
    const places = new Map<string, number>();
    for (const [at, name] of commands.entries()) {
      if (places.has(name)) fail(`${name} was applied twice`);
      places.set(name, at + 1);
    }
    for (const { group: of, name, answer, answers, place, floor } of this.sent) {
      if (of !== group) continue;
      if (answers > 1) fail(`${name} was answered ${answers} times`);
      const applied = places.get(name);
      if (answer === 'notApplied' && applied !== undefined) fail(`${name} was applied though it was said not to be`);
      if (applied !== undefined && applied <= floor) fail(`${name} was applied before it was sent`);
      if (answer === 'acknowledged' && applied !== place)
        fail(`${name} was acknowledged at ${place} and is at ${applied}`);
    }
    if (commands.length < this.seenOf(group))
      fail(`${this.seenOf(group)} commands were seen, ${commands.length} are left`);
  }
}
