import { setU32At, u32At } from '../base/little-endian.ts';
import type { GroupId, Index } from '../core/types.ts';
import type { Consistency, ReadProof } from '../host/api.ts';

export type OperationOutcome =
  | 'pending'
  | 'ok'
  /** Certainly never applied. */
  | 'refused'
  /** A write that may have been applied, or may yet be. */
  | 'unknown'
  /** A read without an answer. */
  | 'failed';

/** One call of a client, from its invocation to its answer. */
export interface ClientOperation {
  readonly id: number;
  readonly client: number;
  readonly group: GroupId;
  readonly kind: 'write' | 'read';
  /** What the workload made; the state machine gets exactly this. */
  readonly payload: Uint8Array;
  /** Whether a node that does not lead may pass it on. */
  readonly forward: boolean;
  /** What a read asks for. */
  readonly consistency: Consistency;
  readonly node: string;
  readonly invokedMs: number;
  /** When the client had its answer, or stopped waiting. */
  answeredMs: number;
  outcome: OperationOutcome;
  code: string;
  index: Index;
  result: Uint8Array;
  /** How an answered read was proved. */
  proof: ReadProof | null;
}

/** A call as it was made once, to be made again. */
export interface ScriptedCall {
  readonly atMs: number;
  readonly client: number;
  readonly group: GroupId;
  /** Of the machine that is asked. */
  readonly place: number;
  readonly kind: 'write' | 'read';
  readonly payload: Uint8Array;
  /** Default true. */
  readonly forward?: boolean;
  /** Of a read. Default `lease`. */
  readonly consistency?: Consistency;
}

export const operationHeadBytes = 8;

/** A command as the log carries it: the number of its operation, then the payload. So checkers know every command again. */
export function sealCommand(id: number, payload: Uint8Array): Uint8Array {
  const sealed = new Uint8Array(operationHeadBytes + payload.length);
  setU32At(sealed, 0, Math.floor(id / 0x1_0000_0000));
  setU32At(sealed, 4, id % 0x1_0000_0000);
  sealed.set(payload, operationHeadBytes);
  return sealed;
}

export function operationIdOf(command: Uint8Array): number {
  return u32At(command, 0) * 0x1_0000_0000 + u32At(command, 4);
}

export function payloadOf(command: Uint8Array): Uint8Array {
  return command.subarray(operationHeadBytes);
}
