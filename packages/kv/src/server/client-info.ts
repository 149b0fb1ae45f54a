import type { Protocol } from '../resp/reply.ts';

/** What CLIENT LIST shows of a connection, and the modes that commands switch. */
export interface ClientInfo {
  readonly clientId: number;
  readonly remoteAddress: string;
  readonly localAddress: string;
  readonly connectedAtMs: number;
  lastActiveMs: number;
  lastCommand: string;
  name: string;
  libraryName: string;
  libraryVersion: string;
  protocol: Protocol;
  authenticated: boolean;
  /** What reads the requests: it is stricter with clients that have not authenticated. */
  readonly parser: { authenticated: boolean };
  /** READONLY: reads may be answered from this node's own state. */
  readOnly: boolean;
  /** CLIENT REPLY: whether replies are sent at all. `skip` is to end the command it came with, `skipNext` the one after it. */
  replies: 'on' | 'off' | 'skip' | 'skipNext';
  /** ASKING: the next command is served here even in redirect mode. */
  asking: boolean;
  readonly outputBytes: number;
  /** Ends the connection once everything before is answered. */
  closeAfterReplies(): void;
  /** Ends it at once. */
  destroy(): void;
}

export function clientLine(client: ClientInfo, nowMs: number): string {
  const seconds = (sinceMs: number): number => Math.max(0, Math.floor((nowMs - sinceMs) / 1000));
  return [
    `id=${client.clientId}`,
    `addr=${client.remoteAddress}`,
    `laddr=${client.localAddress}`,
    'fd=0',
    `name=${client.name}`,
    `age=${seconds(client.connectedAtMs)}`,
    `idle=${seconds(client.lastActiveMs)}`,
    `flags=${client.readOnly ? 'r' : 'N'}`,
    'db=0',
    'sub=0',
    'psub=0',
    'ssub=0',
    'multi=-1',
    'qbuf=0',
    'qbuf-free=0',
    'argv-mem=0',
    'multi-mem=0',
    'rbs=0',
    'rbp=0',
    'obl=0',
    'oll=0',
    `omem=${client.outputBytes}`,
    `tot-mem=${client.outputBytes}`,
    'events=r',
    `cmd=${client.lastCommand || 'NULL'}`,
    'user=default',
    'redir=-1',
    `resp=${client.protocol}`,
    `lib-name=${client.libraryName}`,
    `lib-ver=${client.libraryVersion}`,
  ].join(' ');
}
