import { Prng } from '../../base/prng.ts';
import type { Network } from '../../ports/network.ts';
import { type End, Exchange } from './network-ends.ts';
import { concat, payload } from './payload.ts';
import { LawBook, must, mustEqual, type Patience, refusal, type Suite, type Trial } from './suite.ts';

export interface NetworkSubject extends Trial {
  readonly network: Network;
  /** The network as another host sees it; the same one if hosts do not differ. */
  readonly remote?: Network;
  /** Where to listen: port 0 if the network finds a free one. */
  readonly address: string;
  /** Where nobody listens. */
  readonly nobody: string;
  /** What is no address at all, if there is such a thing. */
  readonly invalid?: string;
  /** Somebody who accepts a connection, and reads nothing from it until told to. */
  sluggard?(): Promise<Sluggard>;
  /** Bytes of the largest transfer; 16 MiB unless told. */
  readonly largeBytes?: number;
}

export interface Sluggard {
  readonly address: string;
  /** From now on everything is read. */
  read(): void;
  close(): Promise<void>;
}

class NetworkBench extends Exchange {
  readonly prng: Prng = new Prng(1);
  readonly subject: NetworkSubject;

  constructor(subject: NetworkSubject, patience: Patience) {
    super({ network: subject.network, remote: subject.remote ?? subject.network }, patience);
    this.subject = subject;
  }

  async arrived(end: End, bytes: number): Promise<void> {
    await this.patience.until(() => end.bytes >= bytes || end.closes > 0, `${bytes} bytes to arrive`);
  }

  /** Sends pieces of many sizes, some in one turn and some apart; returns what the other end must have received. */
  async chatter(end: End, turns: number): Promise<Uint8Array> {
    const { prng } = this;
    const sent: Uint8Array[] = [];
    for (let turn = 0; turn < turns; turn += 1) {
      for (let at = prng.between(1, 8); at > 0; at -= 1) {
        const bytes = payload(prng, prng.between(0, 9) === 0 ? prng.between(1, 100_000) : prng.between(1, 300));
        sent.push(bytes.slice());
        end.send(bytes);
      }
      if (turn % 4 === 0) await this.patience.pause(1);
    }
    return concat(sent);
  }
}

const book = new LawBook<NetworkSubject, NetworkBench>(
  'Network',
  (subject, patience) => new NetworkBench(subject, patience),
  (bench) => bench.hangUp(),
);

book.law('bytes arrive whole and in order, both ways', async (bench) => {
  const pair = await bench.pair(bench.subject.address);
  const [toFar, toNear] = await Promise.all([bench.chatter(pair.near, 80), bench.chatter(pair.far, 80)]);
  await bench.arrived(pair.far, toFar.length);
  await bench.arrived(pair.near, toNear.length);
  await bench.patience.quiet();
  mustEqual(pair.far.received, toFar, 'what the side that was dialed received');
  mustEqual(pair.near.received, toNear, 'what the side that dialed received');
});

book.law('a large transfer arrives whole', async (bench) => {
  const pair = await bench.pair(bench.subject.address);
  const bytes = payload(bench.prng, bench.subject.largeBytes ?? 16 * 1024 * 1024);
  pair.near.send(bytes.slice());
  await bench.arrived(pair.far, bytes.length);
  mustEqual(pair.far.received, bytes, 'a large transfer');
});

book.law('connections are kept apart', async (bench) => {
  const { listener, ends } = await bench.listen(bench.subject.address, (end) => {
    // The first byte says who dialed: everything is sent back.
    let echoed = 0;
    end.onPiece = () => {
      end.send(end.received.slice(echoed));
      echoed = end.bytes;
    };
  });
  const dialed = Array.from({ length: 16 }, (_, at) =>
    bench.dial(listener.address, (end) => {
      for (let turn = 0; turn < 5; turn += 1) end.send(new Uint8Array(200).fill(at));
    }),
  );
  for (const [at, end] of dialed.entries()) {
    await bench.arrived(end, 1000);
    mustEqual(end.received, new Uint8Array(1000).fill(at), `what came back on connection ${at}`);
  }
  must(ends.length === 16, `16 connections were accepted as ${ends.length}`);
});

book.law('a connection opens once, after connect returned, and its first words arrive', async (bench) => {
  const hello = payload(bench.prng, 70);
  const welcome = payload(bench.prng, 90);
  const { listener, ends } = await bench.listen(bench.subject.address, (end) => end.send(welcome.slice()));
  let dataFirst = false;
  const near = bench.dial(listener.address, (end) => end.send(hello.slice()));
  near.onPiece = () => {
    dataFirst ||= near.opened === 0;
  };
  await bench.arrived(near, welcome.length);
  await bench.patience.until(() => ends.length > 0, 'a connection to be accepted');
  const far = ends[0] as End;
  await bench.arrived(far, hello.length);
  await bench.patience.quiet();
  must(!near.tooEarly, 'onOpen came before connect returned');
  must(near.opened === 1, `onOpen came ${near.opened} times`);
  must(!dataFirst, 'data came before onOpen');
  mustEqual(far.received, hello, 'what was sent within onOpen');
  mustEqual(near.received, welcome, 'what was sent within accept');
  must(typeof far.connection?.remote === 'string' && far.connection.remote !== '', 'it does not say who is there');
});

for (const side of ['near', 'far'] as const) {
  const who = side === 'near' ? 'the side that dialed' : 'the side that was dialed';
  book.law(`when ${who} closes, both hear it exactly once`, async (bench) => {
    const pair = await bench.pair(bench.subject.address);
    const { near, far } = pair;
    pair[side].close();
    await bench.patience.until(() => near.closes > 0 && far.closes > 0, 'both ends to hear of the end');
    near.close();
    far.close();
    await bench.patience.quiet();
    must(near.closes === 1 && far.closes === 1, `they heard it ${near.closes} and ${far.closes} times`);
    must(near.error === null && far.error === null, 'an orderly end came with an error');
    must(!near.refused && !far.refused, 'an orderly end passed for a refusal');
    must(!near.tooEarly && !far.tooEarly, 'onClose came before close returned');
  });
}

book.law('last words before a close arrive', async (bench) => {
  const pair = await bench.pair(bench.subject.address);
  const words = payload(bench.prng, 2000);
  pair.far.send(words.slice());
  pair.far.close();
  await bench.patience.until(() => pair.near.closes > 0, 'the end');
  mustEqual(pair.near.received, words, 'what was sent just before close');
});

book.law('send and close are harmless after the end', async (bench) => {
  const pair = await bench.pair(bench.subject.address);
  const { near, far } = pair;
  far.close();
  far.send(new Uint8Array(10));
  far.close();
  await bench.patience.until(() => near.closes > 0 && far.closes > 0, 'both ends to hear of the end');
  for (const end of [near, far]) {
    end.send(new Uint8Array(10));
    end.close();
    end.send(new Uint8Array(10));
    must((end.connection?.queuedBytes ?? 0) >= 0, 'queuedBytes is negative');
  }
  await bench.patience.quiet();
  must(near.bytes === 0 && far.bytes === 0, 'bytes sent after the end arrived');
  must(near.closes === 1 && far.closes === 1, `they heard of the end ${near.closes} and ${far.closes} times`);
});

book.law('nothing is delivered after close or after onClose', async (bench) => {
  const pair = await bench.pair(bench.subject.address);
  const { near, far } = pair;
  near.onPiece = () => near.close();
  for (let at = 0; at < 60; at += 1) {
    far.send(new Uint8Array(40_000));
    if (at % 10 === 0) await bench.patience.pause(1);
  }
  await bench.patience.until(() => near.closes > 0 && far.closes > 0, 'both ends to hear of the end');
  await bench.patience.quiet();
  const strays = [...near.strays, ...far.strays];
  must(strays.length === 0, `after it came ${strays[0]}, and ${strays.length - 1} more`);
});

book.law('connecting where nobody listens ends with onClose, refused', async (bench) => {
  const near = bench.dial(bench.subject.nobody);
  near.send(new Uint8Array(10));
  await bench.patience.until(() => near.closes > 0, 'onClose');
  await bench.patience.quiet();
  must(near.opened === 0, 'onOpen came');
  must(near.closes === 1, `onClose came ${near.closes} times`);
  must(
    near.refused && near.error !== null,
    `it came with refused ${near.refused} and the error ${near.error?.message}`,
  );
  must(!near.tooEarly, 'onClose came before connect returned');
});

book.law('a connection closed before it opened ends with onClose alone', async (bench) => {
  const { listener } = await bench.listen(bench.subject.address);
  const near = bench.dial(listener.address);
  near.close();
  await bench.patience.until(() => near.closes > 0, 'onClose');
  await bench.patience.quiet();
  must(near.opened === 0 && near.closes === 1, `onOpen came ${near.opened} times, onClose ${near.closes} times`);
  must(!near.tooEarly, 'onClose came before close returned');
});

book.law('listening where somebody listens fails with ADDRESS_IN_USE', async (bench) => {
  const { listener, ends } = await bench.listen(bench.subject.address);
  const { code } = await refusal(bench.listen(listener.address), 'listening twice');
  must(code === 'ADDRESS_IN_USE', `it failed with the code ${String(code)}`);
  const near = bench.dial(listener.address);
  await bench.patience.until(() => ends.length > 0 || near.closes > 0, 'a connection');
  must(ends.length === 1, 'the first listener then heard nothing');
});

book.law('a listener says where it can be reached', async (bench) => {
  const { listener } = await bench.listen(bench.subject.address);
  must(!listener.address.endsWith(':0'), `it says ${listener.address}`);
  const near = bench.dial(listener.address);
  await bench.patience.until(() => near.opened > 0 || near.closes > 0, 'a connection');
  must(near.opened === 1, `dialing ${listener.address} failed`);
});

book.law('a closed listener accepts nobody, and its address is free', async (bench) => {
  const first = await bench.listen(bench.subject.address);
  await bench.patience.within(first.listener.close(), 'a listener to close');
  const near = bench.dial(first.listener.address);
  await bench.patience.until(() => near.closes > 0 || near.opened > 0, 'a refusal');
  must(near.opened === 0 && near.refused, 'somebody could still connect');
  const second = await bench.listen(first.listener.address);
  const again = bench.dial(first.listener.address);
  await bench.patience.until(() => second.ends.length > 0 || again.closes > 0, 'a connection');
  must(second.ends.length === 1 && first.ends.length === 0, 'who listens there next heard nothing');
});

book.law('queuedBytes is never more than was sent, and falls to nothing', async (bench) => {
  const pair = await bench.pair(bench.subject.address);
  const { near, far } = pair;
  const queued = (): number => near.connection?.queuedBytes ?? Number.NaN;
  must(queued() === 0, `it was ${queued()} before anything was sent`);
  let sent = 0;
  for (let at = 0; at < 40; at += 1) {
    sent += 100_000;
    near.send(new Uint8Array(100_000));
    must(queued() >= 0 && queued() <= sent, `it was ${queued()} when ${sent} bytes had been sent`);
  }
  await bench.arrived(far, sent);
  await bench.patience.until(() => queued() === 0, 'it to fall to 0 once everything had arrived');
});

book.law(
  'queuedBytes grows while the peer does not read, and falls when it does',
  async (bench) => {
    const peer = (await bench.subject.sluggard?.()) as Sluggard;
    const near = bench.dial(peer.address);
    await bench.patience.until(() => near.opened > 0, 'a connection to open');
    const queued = (): number => near.connection?.queuedBytes ?? Number.NaN;
    const large = bench.subject.largeBytes ?? 16 * 1024 * 1024;
    const pieces = 64;
    for (let at = 0; at < pieces; at += 1) near.send(new Uint8Array(large / pieces));
    await bench.patience.quiet();
    const before = queued();
    must(before > 0, `it was 0 when ${large} bytes had been sent to a peer that does not read`);
    for (let at = 0; at < pieces; at += 1) near.send(new Uint8Array(large / pieces));
    await bench.patience.quiet();
    must(queued() >= before + large / 2, `it went from ${before} to ${queued()} when ${large} bytes more were sent`);
    peer.read();
    await bench.patience.until(() => queued() === 0, 'it to fall to 0 once the peer reads');
    near.close();
    await peer.close();
  },
  (subject) => subject.sluggard !== undefined,
);

book.law(
  'what is no address is told as ADDRESS_INVALID by listen and by onClose',
  async (bench) => {
    const invalid = bench.subject.invalid as string;
    const { code } = await refusal(bench.listen(invalid), 'listening there');
    must(code === 'ADDRESS_INVALID', `listening failed with the code ${String(code)}`);
    const near = bench.dial(invalid);
    near.send(new Uint8Array(1));
    await bench.patience.until(() => near.closes > 0, 'onClose');
    await bench.patience.quiet();
    must(near.closes === 1 && near.opened === 0, `onClose came ${near.closes} times, onOpen ${near.opened} times`);
    must(near.error !== null && !near.refused, 'it passed for an address where nobody listens');
    must(!near.tooEarly, 'onClose came before connect returned');
  },
  ({ invalid }) => invalid !== undefined,
);

/** What the transport relies on. */
export const networkSuite: Suite<NetworkSubject> = { port: 'Network', laws: book.laws };
