import type { Socket } from 'node:net';
import { keyPositions, type CommandSpec, findCommand } from '../commands/command-table.ts';
import { encodeFor } from '../commands/command-codec.ts';
import { slotOf } from '../commands/key-slot.ts';
import { validate } from '../commands/validate.ts';
import { encodeReply, type Protocol, type Reply } from '../resp/reply.ts';
import { type RequestLimits, RequestParser } from '../resp/request-parser.ts';
import { toProtocol } from '../resp/result.ts';
import { Call, type CallOwner } from '../router/call.ts';
import { Fifo } from '../router/fifo.ts';
import type { Router } from '../router/router.ts';
import { Session } from '../router/session.ts';
import { Answer } from './answer.ts';
import type { ClientInfo } from './client-info.ts';
import { startDatabaseCommand } from './database-commands.ts';
import { errorText } from './error-reply.ts';
import { isDatabaseRequest, localReply } from './local-commands.ts';
import type { NodeContext } from './node-context.ts';
import { Output } from './output.ts';
import { Transaction } from './transaction.ts';

/** Above this, no more commands are read from a client that does not take its replies. */
const outputBytesPause = 1024 * 1024;
/** Above this, the client is cut off. */
const outputBytesMax = 256 * 1024 * 1024;
const inFlightMax = 1024;
/** Replies to come are taken to be as large as the largest of late; together they stay below this. */
const inFlightBytesMax = 64 * 1024 * 1024;
const replyBytesAssumed = 4096;
/** A command must arrive within this time once its first byte has. */
const halfSentMsMax = 30_000;
const unauthenticatedMsMax = 30_000;

const loading = 'LOADING the node is reading its log; try again shortly';

/** Commands after which the next one may be read differently: each waits until everything before it is answered. */
const solitary: ReadonlySet<string> = new Set(['hello', 'auth', 'reset', 'quit']);

/** Carried out at once even after MULTI. */
const neverQueued: ReadonlySet<string> = new Set(['multi', 'exec', 'discard', 'reset', 'quit']);

/** The port that accepted a connection. */
export interface ConnectionHome {
  readonly context: NodeContext;
  readonly requestLimits: Partial<RequestLimits>;
  nowMs(): number;
  /** Asks for `flush` at the end of this turn of the event loop. */
  planFlush(connection: Connection): void;
  forget(connection: Connection): void;
}

/** One Redis client: its bytes to commands, its replies in the order of its commands. */
export class Connection implements CallOwner, ClientInfo {
  readonly clientId: number;
  readonly remoteAddress: string;
  readonly localAddress: string;
  readonly connectedAtMs: number;
  lastActiveMs: number;
  lastCommand: string = '';
  name: string = '';
  libraryName: string = '';
  libraryVersion: string = '';
  protocol: Protocol = 2;
  authenticated: boolean;
  readOnly: boolean = false;
  asking: boolean = false;
  replies: ClientInfo['replies'] = 'on';
  readonly parser: RequestParser;
  readonly #server: ConnectionHome;
  readonly #socket: Socket;
  readonly #output: Output;
  readonly #queue: Fifo<Call | Answer> = new Fifo();
  /** Those of the queue whose reply the client does not want. */
  readonly #muted: Set<Call | Answer> = new Set();
  #session: Session | null = null;
  /** Since MULTI. */
  #transaction: Transaction | null = null;
  /** A command that waits until everything before it is answered. */
  #solitary: Buffer[] | null = null;
  #replyBytesRecent: number = replyBytesAssumed;
  #paused = false;
  #ending = false;
  #closed = false;
  #flushPlanned = false;

  constructor(server: ConnectionHome, socket: Socket, clientId: number, nowMs: number) {
    this.#server = server;
    this.#socket = socket;
    this.#output = new Output(socket);
    this.clientId = clientId;
    this.remoteAddress = `${socket.remoteAddress ?? ''}:${socket.remotePort ?? 0}`;
    this.localAddress = `${socket.localAddress ?? ''}:${socket.localPort ?? 0}`;
    this.connectedAtMs = nowMs;
    this.lastActiveMs = nowMs;
    this.authenticated = server.context.password === null;
    this.parser = new RequestParser({ authenticated: this.authenticated, limits: server.requestLimits });
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('drain', () => this.#advance());
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#onClose());
  }

  get outputBytes(): number {
    return this.#output.backlogBytes;
  }

  closeAfterReplies(): void {
    this.#ending = true;
    this.#planFlush();
  }

  /** Called once a second. */
  checkLimits(nowMs: number): void {
    // The last reply went out up to a second ago: a client that does not hang up by itself is not waited for.
    if (this.#socket.writableEnded) {
      this.#socket.destroy();
      return;
    }
    const idleMs = nowMs - this.lastActiveMs;
    const idleMsMax = this.#server.context.clientIdleMs;
    const waiting = this.#queue.length > 0 || this.#paused;
    if (!waiting && this.parser.bufferedBytes > 0 && idleMs > halfSentMsMax) this.#socket.destroy();
    else if (!this.authenticated && nowMs - this.connectedAtMs > unauthenticatedMsMax) this.#socket.destroy();
    else if (!waiting && idleMsMax > 0 && idleMs > idleMsMax) this.#socket.destroy();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  settled(call: Call): void {
    const bytes = call.result?.length ?? 0;
    if (bytes > this.#replyBytesRecent) this.#replyBytesRecent = bytes;
    if (this.#queue.peek() === call) this.#planFlush();
  }

  /** Everything that was answered by now goes out in one write, at the end of this turn of the event loop. */
  flush(): void {
    this.#flushPlanned = false;
    if (this.#closed) return;
    for (let entry = this.#queue.peek(); entry?.done === true; entry = this.#queue.peek()) {
      this.#queue.shift();
      if (this.#muted.size > 0 && this.#muted.delete(entry)) continue;
      this.#output.push(entry instanceof Call ? this.#replyOf(entry) : (entry.bytes as Uint8Array));
    }
    const bytes = this.#output.backlogBytes;
    this.#server.context.stats.outputBytes += bytes - this.#socket.writableLength;
    this.#output.flush();
    if (bytes > outputBytesMax) this.#socket.destroy();
    else if (this.#queue.length === 0 && this.#ending) this.#socket.end();
    else this.#advance();
  }

  answer(reply: Reply): void {
    if (isError(reply)) this.#server.context.stats.errorReplies += 1;
    this.#enqueue(new Answer(encodeReply(reply, this.protocol)));
    this.#planFlush();
  }

  #onData(chunk: Buffer): void {
    if (this.#ending) return;
    this.lastActiveMs = this.#server.nowMs();
    this.#server.context.stats.inputBytes += chunk.length;
    this.parser.push(chunk);
    this.#advance();
  }

  /** Starts as many of the received commands as may be in flight, and reads on when all are started. */
  #advance(): void {
    while (!this.#closed && !this.#ending && this.#mayStart()) {
      const args = this.#solitary ?? this.parser.next();
      this.#solitary = null;
      if (args === null) {
        if (this.parser.error !== null) this.#protocolError(this.parser.error);
        else this.#resume();
        return;
      }
      this.#execute(args);
    }
    if (!this.#paused && !this.#closed && !this.#ending) {
      this.#paused = true;
      this.#socket.pause();
    }
  }

  #resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#replyBytesRecent = Math.max(replyBytesAssumed, this.#replyBytesRecent >> 1);
    this.#socket.resume();
  }

  #mayStart(): boolean {
    if (this.#solitary !== null) return this.#queue.length === 0;
    return (
      this.#queue.length < inFlightMax &&
      this.#queue.length * this.#replyBytesRecent < inFlightBytesMax &&
      this.#output.backlogBytes <= outputBytesPause
    );
  }

  #protocolError(text: string): void {
    this.#server.context.stats.protocolErrors += 1;
    this.answer({ error: text });
    this.#ending = true;
  }

  #execute(args: Buffer[]): void {
    const { context } = this.#server;
    const name = (args[0] as Buffer).toString('latin1', 0, 64);
    const spec = findCommand(name);
    if (spec !== undefined && this.#queue.length > 0 && solitary.has(spec.name)) {
      this.#solitary = args;
      return;
    }
    context.stats.commandsProcessed += 1;
    this.lastCommand = spec === undefined ? 'unknown' : shownName(spec, args);
    if (!this.authenticated && spec?.flags.includes('no_auth') !== true) {
      this.answer({ error: 'NOAUTH Authentication required.' });
      return;
    }
    const invalid = validate(args, context.limits);
    if (spec === undefined) this.#refuse(invalid ?? 'ERR unknown command');
    else if (this.#transaction !== null && !neverQueued.has(spec.name))
      this.answer(this.#transaction.add(spec, args, invalid));
    else if (invalid !== null) this.#refuse(invalid);
    else if (spec.group === 'transactions') this.#executeTransaction(spec.name);
    else if (spec.kind === 'local') this.#executeLocal(spec, args);
    else if (context.router === null) this.answer({ error: loading });
    else this.#executeStored(spec, args, context.router);
  }

  #refuse(error: string): void {
    this.answer(this.#transaction === null ? { error } : this.#transaction.refuse(error));
  }

  #executeTransaction(name: string): void {
    const transaction = this.#transaction;
    const { context } = this.#server;
    if (name === 'multi') {
      this.#transaction ??= new Transaction(context.limits);
      this.answer(transaction === null ? { simple: 'OK' } : { error: 'ERR MULTI calls can not be nested' });
      return;
    }
    this.#transaction = null;
    if (transaction === null) this.answer({ error: `ERR ${name.toUpperCase()} without MULTI` });
    else if (name === 'discard') this.answer({ simple: 'OK' });
    else if (transaction.broken) this.answer({ error: 'EXECABORT Transaction discarded because of previous errors.' });
    else if (transaction.slot === null) this.answer([]);
    else if (context.router === null) this.answer({ error: loading });
    else this.#call(context.router, { write: true, slot: transaction.slot, payload: transaction.encode() });
  }

  #executeLocal(spec: CommandSpec, args: Buffer[]): void {
    if (spec.name === 'reset') this.#transaction = null;
    const reply = localReply(spec, args, this, this.#server.context);
    if (!isDatabaseRequest(reply)) this.answer(reply);
    else if (this.#server.context.router === null) this.answer({ error: loading });
    else this.#executeDatabase(reply.database, this.#server.context.router);
  }

  #executeStored(spec: CommandSpec, args: Buffer[], router: Router): void {
    if (spec.firstKey === 0) {
      this.#executeDatabase(args, router);
      return;
    }
    const slot = slotOf(args[spec.firstKey] as Buffer);
    if (spec.lastKey !== 1 && !sameSlot(spec, args, slot)) {
      this.answer({ error: "CROSSSLOT Keys in request don't hash to the same slot" });
      return;
    }
    const payload = encodeFor(spec, args, this.#server.context.limits);
    this.#call(router, { write: spec.kind === 'write', slot, payload });
  }

  #call(router: Router, command: { readonly write: boolean; readonly slot: number; readonly payload: Buffer }): void {
    const stale = this.readOnly && !command.write;
    const call = new Call({
      ...command,
      owner: this,
      shard: router.map.shardOf(command.slot),
      deadlineMs: router.nowMs() + router.commandTimeoutMs,
      consistency: stale ? 'stale' : router.reads,
      forward: !stale && (router.routing === 'forward' || this.asking),
    });
    this.asking = false;
    this.#enqueue(call);
    this.#sessionOf(router).start(call);
  }

  #executeDatabase(args: Buffer[], router: Router): void {
    const answer = new Answer(null);
    this.#enqueue(answer);
    startDatabaseCommand(args, { router, session: this.#sessionOf(router), readOnly: this.readOnly }, (reply) => {
      if (isError(reply)) this.#server.context.stats.errorReplies += 1;
      answer.bytes = encodeReply(reply, this.protocol);
      if (this.#queue.peek() === answer) this.#planFlush();
    });
  }

  /** Every command has one place in the queue, whether or not its reply is sent. */
  #enqueue(entry: Call | Answer): void {
    if (this.replies !== 'on') this.#muted.add(entry);
    if (this.replies === 'skip') this.replies = 'skipNext';
    else if (this.replies === 'skipNext') this.replies = 'on';
    this.#queue.push(entry);
  }

  #sessionOf(router: Router): Session {
    this.#session ??= new Session(router);
    return this.#session;
  }

  #replyOf(call: Call): Uint8Array {
    if (call.failure === null) return toProtocol(call.result as Uint8Array, this.protocol);
    this.#server.context.stats.errorReplies += 1;
    return encodeReply({ error: errorText(call.failure, call.write) }, this.protocol);
  }

  #planFlush(): void {
    if (this.#flushPlanned || this.#closed) return;
    this.#flushPlanned = true;
    this.#server.planFlush(this);
  }

  #onClose(): void {
    this.#closed = true;
    this.#session?.close();
    this.#queue.clear();
    this.#muted.clear();
    this.#server.forget(this);
  }
}

/** As CLIENT LIST shows it. */
function shownName(spec: CommandSpec, args: readonly Buffer[]): string {
  const subcommand = spec.subcommands === null ? '' : (args[1]?.toString('latin1', 0, 64).toLowerCase() ?? '');
  return spec.subcommands?.has(subcommand) === true ? `${spec.name}|${subcommand}` : spec.name;
}

function isError(reply: Reply): boolean {
  return typeof reply === 'object' && reply !== null && 'error' in reply;
}

function sameSlot(spec: CommandSpec, args: readonly Buffer[], slot: number): boolean {
  for (const at of keyPositions(spec, args.length)) if (slotOf(args[at] as Buffer) !== slot) return false;
  return true;
}
