import { setU32At, u32At } from '../base/little-endian.ts';
import type { Prng } from '../base/prng.ts';
import type { Index } from '../core/types.ts';
import type { AppliedEntry, StateMachine } from '../ports/state-machine.ts';
import { registerAnswerText, registerCallText, registerRecorded, registerSequential } from './register-model.ts';
import type { Model, PlannedOperation, Workload } from './workload.ts';

const stateBytes = 8;
const setOpcode = 1;
const addOpcode = 2;

interface Register {
  value: number;
  /** How often it was written: tells apart states of equal value. */
  version: number;
}

/** Registers by number: `set` and `add`. The simplest machine on which a lost, doubled or stale operation shows. */
export class RegisterMachine implements StateMachine {
  private registers = new Map<number, Register>();

  apply(entries: readonly AppliedEntry[]): readonly Uint8Array[] {
    return entries.map(({ command }) => encode(applyTo(this.registers, command)));
  }

  query(query: Uint8Array): Uint8Array {
    return encode(this.registers.get(query[0] as number));
  }

  /** Whether one of these commands is about the register that is read. */
  conflicts(query: Uint8Array, entries: readonly AppliedEntry[]): boolean {
    return entries.some(({ command }) => command.length > 0 && command[1] === query[0]);
  }

  /** The same bytes for the same state, whatever led to it. */
  snapshot(): AsyncIterable<Uint8Array> {
    const keys = [...this.registers.keys()].sort((one, other) => one - other);
    return inPieces(keys.map((key) => new Uint8Array([key, ...encode(this.registers.get(key))])));
  }

  reset(): Promise<void> {
    this.registers = new Map();
    return Promise.resolve();
  }

  async restore(image: AsyncIterable<Uint8Array>): Promise<void> {
    const bytes: number[] = [];
    for await (const piece of image) bytes.push(...piece);
    const view = new DataView(new Uint8Array(bytes).buffer);
    const registers = new Map<number, Register>();
    for (let at = 0; at < bytes.length; at += 1 + stateBytes) {
      registers.set(view.getUint8(at), {
        value: view.getUint32(at + 1, true),
        version: view.getUint32(at + 5, true),
      });
    }
    this.registers = registers;
  }
}

/** Every value a register ever had, with the index from which on it had it. */
class RegisterModel implements Model {
  readonly limbo = true;
  private readonly registers = new Map<number, Register>();
  private readonly histories = new Map<number, { readonly from: Index; readonly answer: Uint8Array }[]>();

  committed(index: Index, _timeMs: number, command: Uint8Array): void {
    const answer = encode(applyTo(this.registers, command));
    const key = command[1] as number;
    const history = this.histories.get(key);
    if (history === undefined) this.histories.set(key, [{ from: index, answer }]);
    else history.push({ from: index, answer });
  }

  judge(query: Uint8Array, index: Index, result: Uint8Array): string | null {
    const history = this.histories.get(query[0] as number) ?? [];
    let at = history.length - 1;
    while (at >= 0 && (history[at] as { from: Index }).from > index) at -= 1;
    const expected = history[at]?.answer ?? encode(undefined);
    if (expected.every((byte, place) => byte === result[place])) return null;
    return `register ${query[0]} as of index ${index} is ${[...expected].join(' ')}, not ${[...result].join(' ')}`;
  }
}

export interface RegisterOptions {
  readonly registers?: number;
  /** The share of reads. */
  readonly readShare?: number;
}

export function registerWorkload(options: RegisterOptions = {}): Workload {
  const { registers = 6, readShare = 0.4 } = options;
  return {
    name: 'registers',
    stateMachine: () => new RegisterMachine(),
    next: (prng, id) => plan(prng, id, registers, readShare),
    model: () => new RegisterModel(),
    sequential: registerSequential,
    text: registerCallText,
    answerText: registerAnswerText,
    recorded: registerRecorded,
  };
}

function plan(prng: Prng, id: number, registers: number, readShare: number): PlannedOperation {
  const key = prng.between(0, registers - 1);
  if (prng.fraction() < readShare) return { kind: 'read', payload: new Uint8Array([key]) };
  const filler = prng.fraction() < 0.1 ? prng.between(0, 6000) : prng.between(0, 60);
  const payload = new Uint8Array(6 + filler);
  payload[0] = prng.fraction() < 0.5 ? setOpcode : addOpcode;
  payload[1] = key;
  setU32At(payload, 2, id);
  return { kind: 'write', payload };
}

function applyTo(registers: Map<number, Register>, command: Uint8Array): Register {
  const key = command[1] as number;
  let register = registers.get(key);
  if (register === undefined) {
    register = { value: 0, version: 0 };
    registers.set(key, register);
  }
  const operand = u32At(command, 2);
  register.value = command[0] === setOpcode ? operand : (register.value + operand) >>> 0;
  register.version += 1;
  return register;
}

function encode(register: Register | undefined): Uint8Array {
  const bytes = new Uint8Array(stateBytes);
  if (register === undefined) return bytes;
  setU32At(bytes, 0, register.value);
  setU32At(bytes, 4, register.version);
  return bytes;
}

// oxlint-disable-next-line typescript/require-await
async function* inPieces(pieces: readonly Uint8Array[]): AsyncIterable<Uint8Array> {
  yield* pieces;
}
