import type { NoriError } from 'nori-raft';
import type { Registry } from 'prom-client';
import type { KvHost } from '../router/host.ts';
import type { NodeContext } from '../server/node-context.ts';

/** What the HTTP port shows of a node. */
export interface HttpContext extends NodeContext {
  readonly host: KvHost | null;
  readonly failure: NoriError | null;
  readonly registry: Registry;
  readonly stateMachines: readonly { digest(): string; snapshot(): AsyncIterable<Uint8Array> }[];
  /** A backup had to end before its end, and the client sees no reason: the log has it. */
  backupFailed(error: unknown): void;
}
