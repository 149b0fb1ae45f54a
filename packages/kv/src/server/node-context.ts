import type { CommandLimits } from '../commands/limits.ts';
import type { Router } from '../router/router.ts';
import type { Announced, ClusterView } from '../router/topology.ts';
import type { ClientInfo } from './client-info.ts';

/** Counters since the process started. */
export interface ServerStats {
  connectionsReceived: number;
  connectionsRejected: number;
  commandsProcessed: number;
  errorReplies: number;
  protocolErrors: number;
  inputBytes: number;
  outputBytes: number;
}

export function serverStats(): ServerStats {
  return {
    connectionsReceived: 0,
    connectionsRejected: 0,
    commandsProcessed: 0,
    errorReplies: 0,
    protocolErrors: 0,
    inputBytes: 0,
    outputBytes: 0,
  };
}

/** What the commands that a node answers by itself may look at. */
export interface NodeContext {
  readonly id: string;
  readonly version: string;
  readonly startedAtMs: number;
  readonly announced: Announced;
  readonly password: string | null;
  readonly limits: CommandLimits;
  readonly clientsMax: number;
  readonly clientIdleMs: number;
  readonly stats: ServerStats;
  /** Null while the host is still opening its log. */
  readonly router: Router | null;
  /** The cluster as this node sees it; null while it is still starting. */
  view(): ClusterView | null;
  clients(): Iterable<ClientInfo>;
  /** Keys in this node's own state, expired ones not counted. */
  keyCount(): number;
}
