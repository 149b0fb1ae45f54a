import * as fc from 'fast-check';
import type { TransferItem } from './snapshot-transfer.ts';
import { describe, expect, test } from 'vitest';
import { NoriError } from '../base/errors.ts';
import { type AppendRequest, type Message, MessageKind } from '../core/message.ts';
import { EntryKind, entry, type GroupId, nodeId } from '../core/types.ts';
import { type BatchSink, readBatch, writeMessageItem, writeReplyItem, writeRequestItem } from './batch.ts';
import { ByteReader, ByteWriter } from './bytes.ts';
import { readConfiguration, writeConfiguration } from './entry.ts';
import type { ForwardReply, ForwardRequest } from './request.ts';

const n1 = nodeId('n1');
const n2 = nodeId('n2');
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

type Item =
  | ['message', GroupId, Message]
  | ['request', ForwardRequest]
  | ['reply', ForwardReply]
  | ['transfer', TransferItem];

function decode(body: Uint8Array): Item[] {
  const items: Item[] = [];
  const sink: BatchSink = {
    message: (group, message) => items.push(['message', group, message]),
    request: (request) => items.push(['request', request]),
    reply: (reply) => items.push(['reply', reply]),
    transfer: (item) => items.push(['transfer', item]),
  };
  readBatch(body, n1, n2, sink);
  return items;
}

function encode(...pairs: readonly [GroupId, Message][]): Uint8Array {
  const writer = new ByteWriter();
  for (const [group, message] of pairs) writeMessageItem(writer, group, message);
  return writer.take();
}

function codeOf(body: Uint8Array): string {
  try {
    decode(body);
  } catch (error) {
    if (error instanceof NoriError) return error.code;
    throw error;
  }
  return 'none';
}

const typed = /^(none|WIRE_MALFORMED|WIRE_VERSION)$/;
const envelope = { from: n1, to: n2 };
const append: AppendRequest = {
  ...envelope,
  kind: MessageKind.append,
  term: 5,
  prevIndex: 6,
  prevTerm: 4,
  entries: [],
  commit: 6,
  sentMs: 1.5,
  round: 9,
  leaseMs: 2000,
  driftPpm: 10_000,
  probe: false,
};
const configuration = {
  incoming: [n1],
  outgoing: [],
  learners: [n2],
  learnersNext: [],
  members: [
    { id: n1, address: 'a:1' },
    { id: n2, address: '' },
  ],
};

// Golden bytes: when one of these changes, the protocol version does. length · kind, flags · group · fields
const golden: readonly [string, Message, string][] = [
  [
    'a pre-vote',
    {
      ...envelope,
      kind: MessageKind.preVote,
      term: 3,
      lastIndex: 2,
      lastTerm: 1,
      commit: 1,
      transfer: false,
      releasedTerm: 0,
    },
    '2f000000 0100 07000000 0300000000000000 0200000000000000 0100000000000000 0100000000000000 00 0000000000000000',
  ],
  [
    'a vote',
    {
      ...envelope,
      kind: MessageKind.vote,
      term: 2 ** 53 - 1,
      lastIndex: 2 ** 32,
      lastTerm: 1,
      commit: 1,
      transfer: true,
      releasedTerm: 2,
    },
    '2f000000 0300 07000000 ffffffffffff1f00 0000000001000000 0100000000000000 0100000000000000 01 0200000000000000',
  ],
  [
    'a pre-vote reply',
    { ...envelope, kind: MessageKind.preVoteReply, term: 3, granted: true, commit: 1, promises: [] },
    '19000000 0200 07000000 0300000000000000 01 0100000000000000 0000',
  ],
  [
    'a vote reply with a promise',
    {
      ...envelope,
      kind: MessageKind.voteReply,
      term: 3,
      granted: false,
      commit: 1,
      promises: [{ holder: n2, incarnation: 4, lineage: 0xa1b2c3d4, term: 2, remainingMs: 0.5 }],
    },
    '39000000 0400 07000000 0300000000000000 00 0100000000000000 0100 0200 6e32 0400000000000000 d4c3b2a1 0200000000000000 000000000000e03f',
  ],
  [
    'a heartbeat',
    append,
    '47000000 0500 07000000 0500000000000000 0600000000000000 0400000000000000 0600000000000000 000000000000f83f 0900000000000000 0000000000409f40 10270000 00 00000000',
  ],
  [
    'an append of a command and a configuration',
    {
      ...append,
      entries: [
        entry({ index: 7, term: 4, kind: EntryKind.command, timeMs: 1000, payload: new Uint8Array([0xaa, 0xbb]) }),
        entry({ index: 8, term: 5, kind: EntryKind.configuration, timeMs: 1001, configuration }),
      ],
    },
    '96000000 0500 07000000 0500000000000000 0600000000000000 0400000000000000 0600000000000000 000000000000f83f 0900000000000000 0000000000409f40 10270000 00 02000000 ' +
      '01 00 0400000000000000 e803000000000000 02000000 aabb ' +
      '02 00 0500000000000000 e903000000000000 21000000 0100 0200 6e31 0000 0100 0200 6e32 0000 0200 0200 6e31 0300 613a31 0200 6e32 0000',
  ],
  [
    'an append reply',
    {
      ...envelope,
      kind: MessageKind.appendReply,
      term: 5,
      accepted: true,
      matchIndex: 8,
      hintIndex: 0,
      hintTerm: 0,
      sentMs: 1.5,
      round: 9,
      peerMs: 2.5,
    },
    '3f000000 0600 07000000 0500000000000000 01 0800000000000000 0000000000000000 0000000000000000 000000000000f83f 0900000000000000 0000000000000440',
  ],
  [
    'a timeout-now',
    { ...envelope, kind: MessageKind.timeoutNow, term: 5, releasedTerm: 5 },
    '16000000 0700 07000000 0500000000000000 0500000000000000',
  ],
  [
    'a farewell to one that was removed',
    { ...envelope, kind: MessageKind.removed, term: 5, configurationIndex: 9 },
    '16000000 1000 07000000 0500000000000000 0900000000000000',
  ],
];

test('a configuration keeps its plan, and one without a plan is written as ever', () => {
  const planned = { voters: [n1, n2], learners: [], joined: [n2] };
  for (const written of [configuration, { ...configuration, planned }]) {
    const writer = new ByteWriter(64);
    writeConfiguration(writer, written);
    expect(readConfiguration(new ByteReader(writer.take()))).toEqual(written);
  }
});

describe('the bytes of each message are these, and read back as it was', () => {
  test.each(golden)('%s', (_name, message, bytes) => {
    const body = encode([7, message]);
    expect(hex(body)).toBe(bytes.replaceAll(' ', ''));
    expect(decode(body)).toEqual([['message', 7, message]]);
  });
});

const u53 = fc.maxSafeNat();
const small = fc.nat(1000);
const ms = fc.double({ min: 0, max: 1e12, noNaN: true });
const id = fc.stringMatching(/^[A-Za-z0-9._-]{1,64}$/).map(nodeId);

const anyVote: fc.Arbitrary<Message> = fc.record({
  kind: fc.constantFrom(MessageKind.vote, MessageKind.preVote),
  from: fc.constant(n1),
  to: fc.constant(n2),
  term: fc.integer({ min: 1000, max: Number.MAX_SAFE_INTEGER }),
  lastIndex: u53,
  lastTerm: small,
  commit: u53,
  transfer: fc.boolean(),
  releasedTerm: u53,
});
const anyVoteReply: fc.Arbitrary<Message> = fc.record({
  kind: fc.constantFrom(MessageKind.voteReply, MessageKind.preVoteReply),
  from: fc.constant(n1),
  to: fc.constant(n2),
  term: u53,
  granted: fc.boolean(),
  commit: u53,
  promises: fc.array(
    fc.record({ holder: id, incarnation: u53, lineage: fc.nat(0xffff_ffff), term: u53, remainingMs: ms }),
    { maxLength: 4 },
  ),
});
const anyAppend: fc.Arbitrary<Message> = fc
  .record({
    prevIndex: fc.integer({ min: 1, max: 2 ** 40 }),
    prevTerm: small,
    steps: fc.array(fc.tuple(fc.nat(3), fc.constantFrom(0, 1, 3), u53, fc.uint8Array({ maxLength: 50 })), {
      maxLength: 5,
    }),
    commit: u53,
    sentMs: ms,
    round: u53,
    leaseMs: ms,
    driftPpm: fc.nat(499_999),
    probe: fc.boolean(),
  })
  .map(({ steps, ...fields }) => {
    let term = fields.prevTerm;
    const entries = steps.map(([rise, kind, timeMs, payload], at) => {
      term += rise;
      return entry({ index: fields.prevIndex + 1 + at, term, kind: kind as 0 | 1 | 3, timeMs, payload });
    });
    return { kind: MessageKind.append, from: n1, to: n2, term: term + 1, ...fields, entries };
  });
const anyAppendReply: fc.Arbitrary<Message> = fc.record({
  kind: fc.constant(MessageKind.appendReply),
  from: fc.constant(n1),
  to: fc.constant(n2),
  term: u53,
  accepted: fc.boolean(),
  matchIndex: u53,
  hintIndex: u53,
  hintTerm: u53,
  sentMs: ms,
  round: u53,
  peerMs: ms,
});
const anyTimeoutNow: fc.Arbitrary<Message> = fc.record({
  kind: fc.constant(MessageKind.timeoutNow),
  from: fc.constant(n1),
  to: fc.constant(n2),
  term: u53,
  releasedTerm: u53,
});
const anyRemoved: fc.Arbitrary<Message> = fc.record({
  kind: fc.constant(MessageKind.removed),
  from: fc.constant(n1),
  to: fc.constant(n2),
  term: u53,
  configurationIndex: u53,
});
const anyMessage = fc.oneof(anyVote, anyVoteReply, anyAppend, anyAppendReply, anyTimeoutNow, anyRemoved);
const anyGroup = fc.integer({ min: 1, max: 2 ** 32 - 1 });
const anyBatch = fc.array(fc.tuple(anyGroup, anyMessage), { maxLength: 6 });

test('any batch of messages reads back as it was written', () => {
  fc.assert(
    fc.property(anyBatch, (batch) => {
      expect(decode(encode(...batch))).toEqual(batch.map(([group, message]) => ['message', group, message]));
    }),
  );
});

test('requests and replies read back as they were written, between messages', () => {
  const request: ForwardRequest = { id: 2 ** 40, group: 3, kind: 1, timeoutMs: 500.5, payload: new Uint8Array([1]) };
  const reply: ForwardReply = {
    id: 2 ** 40,
    code: 'NOT_LEADER',
    outcome: 'notApplied',
    leaderHint: 'n3',
    retryAfterMs: 250,
    index: 5,
    term: 2,
    payload: new Uint8Array([2, 3]),
  };
  const writer = new ByteWriter();
  writeRequestItem(writer, request);
  writeMessageItem(writer, 7, append);
  writeReplyItem(writer, reply);
  expect(decode(writer.take())).toEqual([
    ['request', request],
    ['message', 7, append],
    ['reply', reply],
  ]);
  const golden = new ByteWriter();
  writeRequestItem(golden, request);
  expect(hex(golden.take())).toBe('1c0000004000000000000001000003000000010000000000487f400100000001');
});

describe('bytes that are no batch', () => {
  test('random ones never throw anything but a NoriError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(codeOf(bytes)).toMatch(typed);
      }),
      { numRuns: 2000 },
    );
  });

  test('truncated ones are refused, at every length', () => {
    for (const [, message] of golden) {
      const body = encode([7, message]);
      for (let length = 1; length < body.length; length += 1) {
        expect(codeOf(body.subarray(0, length))).toBe('WIRE_MALFORMED');
      }
    }
  });

  test('mutated ones never throw anything but a NoriError', () => {
    fc.assert(
      fc.property(
        anyBatch,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        (batch, changes) => {
          const body = encode(...batch);
          if (body.length === 0) return;
          for (const [at, value] of changes) body[at % body.length] = value;
          expect(codeOf(body)).toMatch(typed);
        },
      ),
      { numRuns: 2000 },
    );
  });

  const bad = (change: (bytes: Uint8Array, view: DataView) => void, message: Message = append): Uint8Array => {
    const body = encode([7, message]);
    change(body, new DataView(body.buffer, body.byteOffset));
    return body;
  };
  const twoEntries = {
    ...append,
    entries: [
      entry({ index: 7, term: 4, kind: EntryKind.command, timeMs: 0 }),
      entry({ index: 8, term: 5, kind: EntryKind.command, timeMs: 0 }),
    ],
  };
  test.each([
    ['group 0', bad((_, view) => view.setUint32(6, 0, true))],
    ['a term of 2^53', bad((_, view) => view.setUint32(14, 0x20_0000, true))],
    ['a term of 2^64-1', bad((bytes) => bytes.fill(255, 10, 18))],
    ['a previous index near 2^53 with entries', encode([7, { ...twoEntries, prevIndex: Number.MAX_SAFE_INTEGER - 1 }])],
    ['a term before the first entry', encode([7, { ...append, prevIndex: 0 }])],
    ['a previous term beyond the leader', encode([7, { ...append, prevTerm: 6 }])],
    ['an entry beyond the leader', encode([7, { ...twoEntries, term: 4 }])],
    ['entries whose terms go back', encode([7, { ...twoEntries, entries: twoEntries.entries.toReversed() }])],
    ['an entry older than what it follows', encode([7, { ...twoEntries, prevTerm: 5 }])],
    ['more entries than there are', bad((_, view) => view.setUint32(70, 0xffff_ffff, true))],
    ['a send time that is not a number', encode([7, { ...append, sentMs: Number.NaN }])],
    ['a negative lease', encode([7, { ...append, leaseMs: -1 }])],
    ['an item shorter than its fields', bad((_, view) => view.setUint32(0, 5, true))],
    [
      'an item longer than its fields',
      new Uint8Array([...encode([7, append]), 0]).map((b, at) => (at === 0 ? b + 1 : b)),
    ],
    ['an item of no length', new Uint8Array(4)],
    ['an optional item of one byte', new Uint8Array([1, 0, 0, 0, 200, 1])],
  ])('%s is refused', (_what, body) => {
    expect(codeOf(body)).toBe('WIRE_MALFORMED');
  });

  test('an unknown kind is skipped when it says that it may be, and refused otherwise', () => {
    const known = encode([7, append]);
    const item = (flags: number): Uint8Array => new Uint8Array([5, 0, 0, 0, 99, flags, 1, 2, 3, ...known]);
    expect(decode(item(1))).toEqual([['message', 7, append]]);
    expect(codeOf(item(0))).toBe('WIRE_VERSION');
  });

  test('an item of the wrong length is not delivered', () => {
    const items: unknown[] = [];
    const body = new Uint8Array([...encode([7, append]), 0]);
    body[0] = (body[0] as number) + 1;
    const sink: BatchSink = {
      message: (...item) => items.push(item),
      request: () => 0,
      reply: () => 0,
      transfer: () => 0,
    };
    expect(() => readBatch(body, n1, n2, sink)).toThrow(NoriError);
    expect(items).toHaveLength(0);
  });
});
