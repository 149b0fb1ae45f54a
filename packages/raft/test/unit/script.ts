import { assert } from '../../src/base/assert.ts';
import { utf8 } from '../../src/base/text.ts';
import {
  entry,
  EntryKind,
  InputKind,
  type Message,
  MessageKind,
  type NodeId,
  nodeId,
  type RaftOptions,
} from '../../src/core/index.ts';
import { Checker } from './checker.ts';
import { calm, Cluster, type Durable, type SimNode } from './cluster.ts';
import { Narrator } from './narrator.ts';

interface Held {
  readonly message: Message;
  readonly senderLife: number;
}

/**
 * A scenario in a small language (test/traces/README.md). Setting up: `nodes`, `learners`, `patience`, `log`, `term`.
 * Then whatever happens, one command per line; `run` lets time pass. Every promise is checked all the while.
 */
export class Script {
  private readonly narrator = new Narrator();
  private readonly checker = new Checker();
  private readonly voters: string[] = [];
  private readonly learners: string[] = [];
  private readonly strangers: string[] = [];
  private readonly durable: Map<string, Durable> = new Map();
  private readonly patienceMs: Map<string, number> = new Map();
  private readonly options: { -readonly [name in keyof RaftOptions]?: RaftOptions[name] } = {};
  private readonly cuts: Set<string> = new Set();
  private readonly holds: Map<string, string> = new Map();
  private readonly held: Held[] = [];
  private started: Cluster | null = null;
  private nextProposalId = 1;
  private writeMs = 2;
  private applyMs = 0;

  /** Carries a command out. Returns what is to be told of it. */
  run(command: string): string[] {
    const [verb, ...words] = command.split(/\s+/) as [string, ...string[]];
    const told = this.setUp(verb, words) ? [] : this.act(verb, words);
    return [...this.narrator.take(), ...told];
  }

  private get cluster(): Cluster {
    if (this.started !== null) return this.started;
    this.started = new Cluster({
      voters: this.voters,
      learners: this.learners,
      strangers: this.strangers,
      seed: 1,
      durable: this.durable,
      watchers: [this.checker, this.narrator],
      options: this.options,
      weather: {
        ...calm,
        route: (message) => this.route(message),
        writeMs: () => this.writeMs,
        applyMs: () => this.applyMs,
      },
      optionsOf: (id) => this.optionsOf(id),
    });
    this.checker.watch(this.started);
    this.narrator.watch(this.started);
    return this.started;
  }

  private optionsOf(id: NodeId): Partial<RaftOptions> {
    const patienceMs = this.patienceMs.get(id);
    return patienceMs === undefined ? {} : { electionTimeoutMsMin: patienceMs, electionTimeoutMsMax: patienceMs };
  }

  private setUp(verb: string, words: readonly string[]): boolean {
    const [id = '', ...rest] = words;
    switch (verb) {
      case 'nodes':
        this.voters.push(...words);
        return true;
      case 'learners':
        this.learners.push(...words);
        return true;
      case 'strangers':
        this.strangers.push(...words);
        return true;
      case 'option':
        this.options[id as keyof RaftOptions] = Number(rest[0]);
        return true;
      case 'patience':
        this.patienceMs.set(id, Number(rest[0]));
        return true;
      case 'log':
        this.disk(id).entries = rest.map((term, at) =>
          entry({
            index: at + 1,
            term: Number(term),
            kind: EntryKind.command,
            timeMs: 0,
            payload: payloadAt(at + 1, Number(term)),
          }),
        );
        this.disk(id).hardState = { term: Number(rest.at(-1)), votedFor: null, promises: [] };
        return true;
      case 'term':
        this.disk(id).hardState = { term: Number(rest[0]), votedFor: null, promises: [] };
        return true;
      default:
        return false;
    }
  }

  private act(verb: string, words: readonly string[]): string[] {
    const { cluster } = this;
    const [first = '', second = '', third = ''] = words;
    switch (verb) {
      case 'run':
        cluster.runFor(Number(first));
        break;
      case 'quiet':
        cluster.runFor(Number(first));
        this.narrator.take();
        return this.narrator.standing();
      case 'show':
        return this.narrator.standing();
      case 'members':
        return this.narrator.members();
      case 'change':
        this.change(this.node(first), words.slice(1));
        break;
      case 'lease':
        this.checker.leaseRead(this.node(first));
        return [this.leaseOf(this.node(first))];
      case 'doubt':
        cluster.step(this.node(first), { kind: InputKind.leaseDoubt, cause: 'clockJump' });
        break;
      case 'campaign':
        cluster.step(this.node(first), { kind: InputKind.campaign });
        break;
      case 'propose':
        this.propose(this.node(first), words.slice(1));
        break;
      case 'read':
        this.checker.readInvoked(Number(second));
        cluster.step(this.node(first), { kind: InputKind.read, readIds: [Number(second)] });
        break;
      case 'transfer':
        cluster.step(this.node(first), { kind: InputKind.transfer, to: second === '' ? null : this.node(second).id });
        break;
      case 'reset':
        cluster.step(this.node(first), { kind: InputKind.linkReset, peer: this.node(second).id });
        break;
      case 'gone':
        cluster.step(this.node(first), { kind: InputKind.leaderGone, peer: this.node(second).id, absent: true });
        break;
      case 'returned':
        cluster.step(this.node(first), { kind: InputKind.leaderGone, peer: this.node(second).id, absent: false });
        break;
      case 'stall':
        cluster.stallDisk(this.node(first));
        break;
      case 'resume':
        cluster.resumeDisk(this.node(first));
        break;
      case 'disks':
        this.writeMs = Number(first);
        break;
      case 'applies':
        this.applyMs = Number(first);
        break;
      case 'pause':
        cluster.pause(this.node(first), Number(second));
        break;
      case 'crash':
        cluster.crash(this.node(first));
        break;
      case 'restart':
        cluster.restart(this.node(first));
        break;
      default:
        this.actOnNetwork(verb, first, second, third);
    }
    return [];
  }

  private leaseOf(node: SimNode): string {
    const grant = this.cluster.leaseGrant(node);
    if (grant === null) return `        ${node.id} may answer no read alone`;
    const { index, remainingMs, limbo } = grant;
    const unless = limbo ? ', if nothing in limbo concerns it' : '';
    return `        ${node.id} may answer reads alone for ${Math.ceil(remainingMs)} ms, as of index ${index}${unless}`;
  }

  private actOnNetwork(verb: string, first: string, second: string, third: string): void {
    switch (verb) {
      case 'cut':
        this.cut(first, second);
        this.cut(second, first);
        break;
      case 'cutoneway':
        this.cut(first, second);
        break;
      case 'isolate':
        for (const other of this.cluster.nodes.keys()) {
          if (other === first) continue;
          this.cut(first, other);
          this.cut(other, first);
        }
        break;
      case 'heal':
        this.cuts.clear();
        break;
      case 'hold':
        // hold n1 n2 append: the network keeps such messages back until they are released.
        assert(third in MessageKind, 'hold names a kind of message');
        this.holds.set(`${first}>${second}`, third);
        break;
      case 'release':
        this.release(`${first}>${second}`, 1);
        break;
      case 'releasetwice':
        this.release(`${first}>${second}`, 2);
        break;
      default:
        throw new Error(`no such command: ${verb}`);
    }
  }

  private node(id: string): SimNode {
    return this.cluster.node(id);
  }

  private cut(from: string, to: string): void {
    this.node(from);
    this.node(to);
    this.cuts.add(`${from}>${to}`);
  }

  private disk(id: string): Durable {
    let durable = this.durable.get(id);
    if (durable === undefined) {
      durable = { hardState: { term: 0, votedFor: null, promises: [] }, entries: [] };
      this.durable.set(id, durable);
    }
    return durable;
  }

  private propose(node: SimNode, payloads: readonly string[]): void {
    const proposals = payloads.map((text) => {
      this.nextProposalId += 1;
      return { id: this.nextProposalId, entryKind: EntryKind.command, payload: utf8(text) };
    });
    this.cluster.step(node, { kind: InputKind.propose, proposals, wallMs: 0 });
  }

  /** +n4 makes a voter, ~n4 a learner, -n4 is removed, ^n4 promoted, !n4 demoted; nothing gives the change up. */
  private change(node: SimNode, words: readonly string[]): void {
    const named = (sign: string): NodeId[] =>
      words.filter((word) => word.startsWith(sign)).map((word) => nodeId(word.slice(1)));
    const change = {
      add: named('+'),
      addLearners: named('~'),
      remove: named('-'),
      promote: named('^'),
      demote: named('!'),
    };
    const input = {
      kind: InputKind.reconfigure,
      id: 1,
      change: words.length === 0 ? null : change,
      wallMs: 0,
    } as const;
    this.cluster.step(node, input);
  }

  private route(message: Message): readonly number[] {
    const link = `${message.from}>${message.to}`;
    const kind = this.holds.get(link);
    if (kind !== undefined && message.kind === MessageKind[kind as keyof typeof MessageKind]) {
      this.held.push({ message, senderLife: this.node(message.from).life });
      return [];
    }
    return this.cuts.has(link) ? [] : [5];
  }

  /** What was held on the link arrives now, in the order it was sent. */
  private release(link: string, copies: number): void {
    this.holds.delete(link);
    for (let at = 0; at < this.held.length; at += 1) {
      const { message, senderLife } = this.held[at] as Held;
      if (`${message.from}>${message.to}` !== link) continue;
      this.held.splice(at, 1);
      at -= 1;
      for (let copy = 0; copy < copies; copy += 1) this.cluster.deliver(message, senderLife);
    }
  }
}

const payloads: Map<string, Uint8Array> = new Map();

/** One array per place: the checker takes entries of one term and index for the same only if they are. */
function payloadAt(index: number, term: number): Uint8Array {
  const key = `${index}/${term}`;
  const payload = payloads.get(key) ?? utf8(key);
  payloads.set(key, payload);
  return payload;
}

/** The text of a trace with its narration told anew: commands, comments and blank lines stay, the rest is replaced. */
export function retell(text: string): string {
  const script = new Script();
  const lines: string[] = [];
  for (const line of text.trimEnd().split('\n')) {
    if (line === '' || line.startsWith('#')) lines.push(line);
    if (!line.startsWith('> ')) continue;
    lines.push(line, ...script.run(line.slice(2)));
  }
  return `${lines.join('\n')}\n`;
}
