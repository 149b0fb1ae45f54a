import { expect, test } from 'vitest';
import { Prng } from '../base/prng.ts';
import type { Connection } from '../ports/network.ts';
import type { Life } from './life.ts';
import { SimNetwork } from './network.ts';
import { Timeline } from './timeline.ts';

const raw = (of: string): Uint8Array => new TextEncoder().encode(of);

/** Two machines and one connection between them. */
class Line {
  readonly timeline = new Timeline(new Prng(1), false);
  readonly network: SimNetwork;
  readonly heard: string[] = [];
  readonly ends: string[] = [];
  near: Connection | null = null;
  far: Connection | null = null;
  readonly lives = ['n1', 'n2'].map((id, place): Life => ({ machine: { id, place }, over: false }));

  constructor(seed: number) {
    this.network = new SimNetwork(this.timeline, new Prng(seed));
    const [one, two] = this.lives as [Life, Life];
    void this.network.boot(two).listen('n2:1', (connection) => {
      this.far = connection;
      return {
        onData: (bytes) => this.heard.push(new TextDecoder().decode(bytes)),
        onClose: (error) => this.ends.push(`far ${error === null ? 'end' : 'reset'}`),
      };
    });
    this.near = this.network.boot(one).connect('n2:1', {
      onOpen: () => this.ends.push('open'),
      onData: () => undefined,
      onClose: (error, refused) => this.ends.push(`near ${refused ? 'refused' : error === null ? 'end' : 'reset'}`),
    });
    this.pass(100);
  }

  pass(forMs: number): void {
    const untilMs = this.timeline.nowMs + forMs;
    for (let event = this.timeline.next(untilMs); event !== null; event = this.timeline.next(untilMs)) event.run?.();
  }
}

test('a stream arrives whole and in order, however it is split and held up', () => {
  for (let seed = 1; seed <= 20; seed += 1) {
    const line = new Line(seed);
    Object.assign(line.network.weather, { splitRate: 1, spikeRate: 0.5, spikeMsMax: 3000 });
    let sent = '';
    for (let at = 0; at < 20; at += 1) {
      line.near?.send(raw(`message ${at},`));
      sent += `message ${at},`;
    }
    line.pass(10_000);
    expect(line.heard.join('')).toBe(sent);
    expect(line.heard.length).toBeGreaterThan(20);
  }
});

test('a cut holds back what was sent one way, and lets it through when it is mended', () => {
  const line = new Line(1);
  line.network.cut('n1', 'n2');
  line.near?.send(raw('a'));
  line.pass(60_000);
  expect(line.heard).toEqual([]);
  line.network.mend('n1', 'n2');
  line.near?.send(raw('b'));
  line.pass(2000);
  expect(line.heard.join('')).toBe('ab');
});

test('a reset loses what was on its way, and both ends hear of it', () => {
  const line = new Line(1);
  line.near?.send(raw('a'));
  line.network.reset('n1', 'n2');
  line.pass(1000);
  expect(line.heard).toEqual([]);
  expect(line.ends.sort()).toEqual(['far reset', 'near reset', 'open']);
});

test('the kernel of a dead process closes its connections; a machine without power says nothing until it is back', () => {
  const crashed = new Line(1);
  (crashed.lives[1] as Life).over = true;
  crashed.network.processDied('n2', true);
  crashed.pass(1000);
  expect(crashed.ends).toEqual(['open', 'near end']);

  const dark = new Line(1);
  (dark.lives[1] as Life).over = true;
  dark.network.processDied('n2', false);
  dark.near?.send(raw('a'));
  dark.pass(60_000);
  expect(dark.ends).toEqual(['open']);
  dark.network.poweredOn('n2');
  dark.pass(5000);
  expect(dark.ends).toEqual(['open', 'near reset']);
});

test('the bytes of a chunk are gone when its receiver has returned', () => {
  const line = new Line(1);
  const bytes = raw('kept');
  line.near?.send(bytes);
  line.pass(1000);
  expect(line.heard).toEqual(['kept']);
  expect([...bytes]).toEqual([0xee, 0xee, 0xee, 0xee]);
});

test('nobody listening is a refusal, a cut is silence', () => {
  const line = new Line(1);
  const ends: string[] = [];
  const events = {
    onOpen: () => undefined,
    onData: () => undefined,
    onClose: (_error: Error | null, refused: boolean) => ends.push(refused ? 'refused' : 'closed'),
  };
  line.network.boot(line.lives[0] as Life).connect('n2:9', events);
  line.pass(1000);
  expect(ends).toEqual(['refused']);
  line.network.cut('n2', 'n1');
  line.network.boot(line.lives[0] as Life).connect('n2:1', events);
  line.pass(10_000);
  expect(ends).toEqual(['refused']);
});
