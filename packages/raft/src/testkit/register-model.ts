import { u32At } from '../base/little-endian.ts';
import type { GroupId } from '../core/types.ts';
import { type Facts, nothing, unclear } from './linearizability/model.ts';
import type { PlannedOperation, RecordedCall, SequentialModel } from './workload.ts';

// The registers of register-workload.ts as clients see them. A query is one byte, the register; a command is
// opcode u8 · register u8 · operand u32 · filler. Every answer is value u32 · version u32, all little endian.
const setOpcode = 1;

interface RegisterState {
  readonly value: number;
  readonly version: number;
}

interface RegisterCall {
  readonly name: 'get' | 'set' | 'add';
  readonly register: number;
  readonly operand: number;
}

function callOf({ kind, payload }: PlannedOperation): RegisterCall {
  if (kind === 'read') return { name: 'get', register: payload[0] as number, operand: 0 };
  const operand = u32At(payload, 2);
  return { name: payload[0] === setOpcode ? 'set' : 'add', register: payload[1] as number, operand };
}

function stateOf(answer: Uint8Array): RegisterState {
  return { value: u32At(answer, 0), version: u32At(answer, 4) };
}

function after({ value, version }: RegisterState, { name, operand }: RegisterCall): RegisterState {
  if (name === 'get') return { value, version };
  return { value: name === 'set' ? operand : (value + operand) >>> 0, version: version + 1 };
}

/** One register that counts how often it was written: an answer names the only state it can come from. */
export const registerSequential: SequentialModel = {
  init: { value: 0, version: 0 } satisfies RegisterState,
  step: (state, call, result) => {
    const next = after(state as RegisterState, callOf(call));
    return [result === undefined || same(stateOf(result), next), next];
  },
  key: (call) => String(callOf(call).register),
  identity: (state) => `${(state as RegisterState).value}/${(state as RegisterState).version}`,
  text: registerCallText,
  facts,
  reaches: (from, to) => comesBefore(from as RegisterState, to as RegisterState),
};

function facts(planned: PlannedOperation, result: Uint8Array | undefined): Facts<unknown> {
  const call = callOf(planned);
  if (call.name === 'get') {
    return { needs: result === undefined ? nothing : { kind: 'state', state: stateOf(result) }, makes: nothing };
  }
  if (result === undefined) {
    const could = (state: unknown): boolean => call.name === 'add' || (state as RegisterState).value === call.operand;
    return { needs: unclear, makes: { kind: 'some', could } };
  }
  const state = stateOf(result);
  const before = { value: (state.value - call.operand) >>> 0, version: state.version - 1 };
  const left = { kind: 'state', state } as const;
  return { needs: call.name === 'add' ? { kind: 'state', state: before } : unclear, makes: left, leaves: left };
}

/** Every write raises the version. */
function comesBefore(from: RegisterState, to: RegisterState): boolean {
  return from.version < to.version || same(from, to);
}

function same(left: RegisterState, right: RegisterState): boolean {
  return left.value === right.value && left.version === right.version;
}

export function registerCallText(planned: PlannedOperation): string {
  const { name, register, operand } = callOf(planned);
  return name === 'get' ? `get r${register}` : `${name} r${register} ${operand}`;
}

export function registerAnswerText(_call: PlannedOperation, result: Uint8Array): string {
  const { value, version } = stateOf(result);
  return `${value} (version ${version})`;
}

/** In Redis' words. A sum is told as it is, a register that was never written as no key. */
export function registerRecorded(planned: PlannedOperation, group: GroupId, result: Uint8Array | null): RecordedCall {
  const { name, register, operand } = callOf(planned);
  const key = `g${group}:r${register}`;
  const state = result === null ? null : stateOf(result);
  switch (name) {
    case 'get':
      return { command: ['GET', key], result: state === null || state.version === 0 ? null : String(state.value) };
    case 'set':
      return { command: ['SET', key, String(operand)], result: 'OK' };
    default:
      return { command: ['INCRBY', key, String(operand)], result: state?.value ?? null };
  }
}
