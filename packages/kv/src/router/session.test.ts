import * as fc from 'fast-check';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { FakeHost, failure } from '../../test/support/fake-host.ts';
import { encodeCommand } from '../commands/command-codec.ts';
import { slotOf } from '../commands/key-slot.ts';
import { decodeResult } from '../resp/result.ts';
import { Call } from './call.ts';
import { Router, type Routing } from './router.ts';
import { Session } from './session.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const show = (bytes: unknown): unknown => (bytes instanceof Uint8Array ? Buffer.from(bytes).toString() : bytes);

function setUp(options: { routing?: Routing } = {}) {
  const host = new FakeHost({ groups: 4 });
  const router = new Router(host, {
    shards: 4,
    routing: options.routing ?? 'forward',
    commandTimeoutMs: 5000,
    respAddressOf: (id) => `127.0.0.1:700${id.slice(1)}`,
    nowMs: () => Date.now(),
    random: () => 0,
  });
  const session = new Session(router);
  const answers: string[] = [];
  const send = (line: string, forward = router.routing === 'forward'): Call => {
    const args = line.split(' ').map((word) => Buffer.from(word));
    const slot = slotOf(args[1] as Buffer);
    const call = new Call({
      owner: {
        settled: ({ failure, result }) => {
          const text =
            failure === null ? JSON.stringify(show(decodeResult(result as Uint8Array))) : failureText(failure);
          answers.push(`${line}: ${text}`);
        },
      },
      write: !line.startsWith('GET'),
      slot,
      shard: router.map.shardOf(slot),
      payload: encodeCommand(args),
      deadlineMs: Date.now() + 5000,
      consistency: 'lease',
      forward,
    });
    session.start(call);
    return call;
  };
  return { host, router, session, send, answers };
}

const failureText = ({ error, moved }: NonNullable<Call['failure']>): string =>
  moved === null ? (error?.code ?? '') : `MOVED ${moved.address}`;

test('writes of one connection to one key are handed over without waiting for each other', () => {
  const { host, send } = setUp();
  host.held = true;
  for (let at = 0; at < 16; at += 1) send(`SET k ${at}`);
  expect(host.waiting).toHaveLength(16);
});

test('a read behind a write of the same slot waits for it, and sees it', () => {
  const { host, send, answers } = setUp();
  host.held = true;
  send('SET k 1');
  send('GET k');
  send('GET other');
  expect(host.waiting.map(({ write }) => write)).toEqual([true, false]);
  host.release(0);
  host.releaseAll();
  expect(answers).toContain('GET k: "1"');
});

test('a write behind a read of the same slot waits for it, so that the read does not see it', () => {
  const { host, send, answers } = setUp();
  send('SET k 1');
  host.held = true;
  send('GET k');
  send('SET k 2');
  expect(host.waiting).toHaveLength(1);
  host.releaseAll();
  expect(answers).toContain('GET k: "1"');
});

test('a write that was not applied is tried again inside the server until a leader is there', () => {
  const { host, send, answers } = setUp();
  let leader = false;
  host.fault = () => (leader ? null : failure('NOT_LEADER'));
  send('SET k 1');
  vi.advanceTimersByTime(1000);
  expect(answers).toEqual([]);
  leader = true;
  vi.advanceTimersByTime(200);
  expect(answers).toEqual(['SET k 1: {"simple":"OK"}']);
});

test('after its deadline the last error is answered', () => {
  const { host, send, answers } = setUp();
  host.fault = () => failure('NOT_LEADER');
  send('SET k 1');
  send('GET k');
  vi.advanceTimersByTime(5100);
  expect(answers).toEqual(['SET k 1: NOT_LEADER', 'GET k: QUORUM_UNAVAILABLE']);
});

test('a call that waits for a leader is tried again as soon as one is elected, and only once', () => {
  const { host, router, send, session } = setUp();
  host.fault = () => failure('NOT_LEADER');
  const call = send('SET k v');
  vi.advanceTimersByTime(1000);
  host.fault = () => null;
  const attempts = host.submitted.length;
  const group = router.map.groupOf(call.shard);
  router.leaderKnown(group === 1 ? 2 : 1);
  expect(host.submitted).toHaveLength(attempts);
  router.leaderKnown(group);
  expect(call.done).toBe(true);
  router.leaderKnown(group);
  vi.advanceTimersByTime(1000);
  expect(host.submitted).toHaveLength(attempts + 1);

  host.fault = () => failure('NOT_LEADER');
  send('SET k v');
  session.close();
  const before = host.submitted.length;
  router.leaderKnown(group);
  expect(host.submitted, 'nobody waits any more').toHaveLength(before);
});

test('a write is not tried again once a later one of its lane took effect', () => {
  const { host, send, answers } = setUp();
  host.held = true;
  send('SET k 1');
  send('SET k 2');
  host.release(0, failure('PROPOSAL_DROPPED'));
  host.release(0);
  host.held = false;
  vi.advanceTimersByTime(6000);
  expect(answers).toEqual(['SET k 2: {"simple":"OK"}', 'SET k 1: PROPOSAL_DROPPED']);
});

test('writes that all failed are tried again in their order, and what came later after them', () => {
  const { host, send, answers } = setUp();
  host.held = true;
  send('SET k 1');
  send('SET k 2');
  host.release(1, failure('NOT_LEADER'));
  host.release(0, failure('NOT_LEADER'));
  send('SET k 3');
  expect(host.waiting).toHaveLength(0);
  host.held = false;
  vi.advanceTimersByTime(300);
  expect(answers).toEqual(['SET k 1: {"simple":"OK"}', 'SET k 2: {"simple":"OK"}', 'SET k 3: {"simple":"OK"}']);
});

test('a write with an unknown outcome is never sent again', () => {
  const { host, send, answers } = setUp();
  host.fault = () => failure('COMMIT_TIMEOUT');
  send('INCR k');
  vi.advanceTimersByTime(6000);
  expect(answers).toEqual(['INCR k: COMMIT_TIMEOUT']);
  expect(host.submitted).toHaveLength(1);
});

test('a full disk is answered at once', () => {
  const { host, send, answers } = setUp();
  host.fault = () => failure('DISK_FULL');
  send('SET k 1');
  expect(answers).toEqual(['SET k 1: DISK_FULL']);
});

test('in redirect mode a client is sent to the leader, or waits while there is none', () => {
  const { host, send, answers } = setUp({ routing: 'redirect' });
  host.fault = () => failure('NOT_LEADER', { leaderHint: 'n2' });
  send('SET k 1');
  expect(answers).toEqual(['SET k 1: MOVED 127.0.0.1:7002']);
  host.fault = () => failure('NOT_LEADER');
  send('GET k');
  vi.advanceTimersByTime(100);
  host.fault = () => null;
  vi.advanceTimersByTime(300);
  expect(answers[1]).toBe('GET k: null');
});

test('a command over the whole database is alone: nothing before it is unfinished, nothing after it started', () => {
  const { host, session, send } = setUp();
  host.held = true;
  send('SET a 1');
  let finish = (): void => undefined;
  const run = vi.fn<(finished: () => void) => void>((finished: () => void) => {
    finish = finished;
  });
  session.startExclusive({ run });
  send('SET b 2');
  expect(run).not.toHaveBeenCalled();
  host.release(0);
  expect(run).toHaveBeenCalledOnce();
  expect(host.waiting).toHaveLength(0);
  finish();
  expect(host.waiting).toHaveLength(1);
});

test('a closed session hands nothing more over', () => {
  const { host, session, send } = setUp();
  host.held = true;
  send('SET k 1');
  send('GET k');
  session.close();
  host.release(0, failure('NOT_LEADER'));
  vi.advanceTimersByTime(6000);
  expect(host.submitted).toHaveLength(1);
});

// Whatever the group does, what took effect did so in the order sent, and each answer is what that order gives.
test('the answers of a connection are those of its commands one after the other', () => {
  const commands = fc.array(
    fc.tuple(fc.constantFrom('SET', 'GET', 'INCR', 'APPEND'), fc.constantFrom('a', 'b', '{a}c'), fc.nat(9)),
    { maxLength: 20 },
  );
  const schedule = fc.array(fc.tuple(fc.nat(20), fc.constantFrom('ok', 'ok', 'ok', 'drop', 'no leader')), {
    maxLength: 80,
  });
  fc.assert(
    fc.property(commands, schedule, (lines, steps) => {
      const { host, send } = setUp();
      host.held = true;
      const calls = lines.map(([name, key, value]) => {
        const line = name === 'SET' || name === 'APPEND' ? `${name} ${key} ${value}` : `${name} ${key}`;
        return { line, call: send(line) };
      });
      for (const [pick, outcome] of steps) {
        if (host.waiting.length === 0) vi.advanceTimersByTime(250);
        releaseOne(host, pick, outcome);
      }
      for (let rounds = 0; rounds < 200 && calls.some(({ call }) => !call.done); rounds += 1) {
        host.releaseAll();
        vi.advanceTimersByTime(250);
      }
      const model = setUp();
      for (const { line, call } of calls) {
        expect({ line, done: call.done }).toEqual({ line, done: true });
        if (call.failure !== null) continue;
        const expected = model.send(line);
        expect({ line, result: show(call.result) }).toEqual({ line, result: show(expected.result) });
      }
    }),
    { numRuns: 300 },
  );
});

/** Reads end at any time; a write is applied or dropped only when all of its group before it have been: the log's order. */
function releaseOne(host: FakeHost, pick: number, outcome: string): void {
  if (host.waiting.length === 0) return;
  const position = pick % host.waiting.length;
  const { write, group } = host.waiting[position] as FakeHost['waiting'][number];
  const first = host.waiting.findIndex((call) => call.group === group && call.write);
  const chosen = write && outcome !== 'no leader' ? first : position;
  if (outcome === 'ok') host.release(chosen);
  else host.release(chosen, failure(outcome === 'drop' ? 'PROPOSAL_DROPPED' : 'NOT_LEADER'));
}
