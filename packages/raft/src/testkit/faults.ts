import { Prng } from '../base/prng.ts';
import { pick, shuffled, skewed, spread } from './random.ts';

/** Everything that can be done to a cluster. */
export const faultKinds = [
  'crash',
  'powerCut',
  'powerCutAll',
  'crashAtCompletion',
  'orderlyRestart',
  'pause',
  'pauseAll',
  'suspend',
  'drift',
  'wallStep',
  'isolate',
  'split',
  'oneWay',
  'deaf',
  'mute',
  'bridge',
  'flap',
  'slowNetwork',
  'messageLoss',
  'messageChaos',
  'resets',
  'refusals',
  'slowDisk',
  'hungDisk',
  'failedSync',
  'failedWrite',
  'failedRead',
  'shortWrite',
  'diskFull',
  'slowApply',
  'bitFlip',
  'wipe',
  'transfer',
  'ring',
  'star',
  'swizzle',
  'strobe',
  'skew',
  'deadDisk',
  'misdirectedWrite',
  'staleSector',
  'zeroedSector',
  'snapshot',
  'changeMembers',
  'rot',
  'stateRot',
  'moveMember',
] as const;
export type FaultKind = (typeof faultKinds)[number];

/** One thing that is done, from a moment on and for a time. Its victims are drawn from its own seed, so that leaving out another changes nothing about it. */
export interface Fault {
  readonly kind: FaultKind;
  readonly atMs: number;
  readonly forMs: number;
  readonly seed: number;
}

/** How often each kind happens, per simulated minute. Kinds that are not named do not. */
export type FaultRates = Partial<Record<FaultKind, number>>;

/** Per minute, when a kind is drawn at all; and how long one lasts at most, in ms. */
const usual: Record<FaultKind, { readonly rate: number; readonly forMsMax: number }> = {
  crash: { rate: 4, forMsMax: 6000 },
  powerCut: { rate: 4, forMsMax: 6000 },
  powerCutAll: { rate: 1, forMsMax: 2000 },
  crashAtCompletion: { rate: 6, forMsMax: 3000 },
  orderlyRestart: { rate: 1, forMsMax: 2000 },
  pause: { rate: 4, forMsMax: 5000 },
  pauseAll: { rate: 0.5, forMsMax: 4000 },
  suspend: { rate: 1, forMsMax: 5000 },
  drift: { rate: 4, forMsMax: 20_000 },
  wallStep: { rate: 2, forMsMax: 1000 },
  isolate: { rate: 4, forMsMax: 8000 },
  split: { rate: 3, forMsMax: 8000 },
  oneWay: { rate: 3, forMsMax: 8000 },
  deaf: { rate: 2, forMsMax: 6000 },
  mute: { rate: 2, forMsMax: 6000 },
  bridge: { rate: 2, forMsMax: 8000 },
  flap: { rate: 2, forMsMax: 6000 },
  slowNetwork: { rate: 2, forMsMax: 8000 },
  messageLoss: { rate: 2, forMsMax: 8000 },
  messageChaos: { rate: 3, forMsMax: 10_000 },
  resets: { rate: 2, forMsMax: 8000 },
  refusals: { rate: 1, forMsMax: 8000 },
  slowDisk: { rate: 2, forMsMax: 6000 },
  hungDisk: { rate: 1, forMsMax: 8000 },
  failedSync: { rate: 1, forMsMax: 1500 },
  failedWrite: { rate: 0.7, forMsMax: 1500 },
  failedRead: { rate: 0.7, forMsMax: 3000 },
  shortWrite: { rate: 0.7, forMsMax: 1500 },
  diskFull: { rate: 1, forMsMax: 30_000 },
  slowApply: { rate: 2, forMsMax: 6000 },
  bitFlip: { rate: 1, forMsMax: 1000 },
  wipe: { rate: 0.7, forMsMax: 1000 },
  transfer: { rate: 4, forMsMax: 1 },
  ring: { rate: 2, forMsMax: 8000 },
  star: { rate: 2, forMsMax: 8000 },
  swizzle: { rate: 2, forMsMax: 8000 },
  strobe: { rate: 2, forMsMax: 5000 },
  skew: { rate: 1, forMsMax: 8000 },
  deadDisk: { rate: 0.7, forMsMax: 8000 },
  misdirectedWrite: { rate: 0.7, forMsMax: 3000 },
  staleSector: { rate: 0.7, forMsMax: 3000 },
  zeroedSector: { rate: 0.7, forMsMax: 1000 },
  snapshot: { rate: 4, forMsMax: 1 },
  changeMembers: { rate: 20, forMsMax: 1 },
  rot: { rate: 5, forMsMax: 1000 },
  stateRot: { rate: 5, forMsMax: 1 },
  moveMember: { rate: 20, forMsMax: 1 },
};

/** Happen in the scenarios made for them. */
export const scenarioFaults: ReadonlySet<FaultKind> = new Set(['rot', 'stateRot', 'moveMember']);
/** Spoil a disk for good. Where members change there may be a single voter, and nobody to remember for it. */
const spoiling: readonly FaultKind[] = ['bitFlip', 'wipe', 'zeroedSector', 'misdirectedWrite', 'staleSector'];
const changingShare = 0.25;

/** Every kind in half of all seeds, each with a rate around its usual one; a quarter of all change members instead of spoiling disks. */
export function drawRates(prng: Prng): FaultRates {
  const rates: FaultRates = {};
  const changing = prng.fraction() < changingShare;
  const intensity = pick(prng, [0.3, 1, 1, 2]);
  for (const kind of faultKinds) {
    if (scenarioFaults.has(kind) || (changing ? spoiling.includes(kind) : kind === 'changeMembers')) continue;
    const drawn = prng.fraction() < 0.5 || kind === 'changeMembers';
    if (drawn) rates[kind] = usual[kind].rate * intensity * spread(prng, 0.5, 2);
  }
  return rates;
}

/** All rates a user did not set, as usual. */
export function usualRates(): FaultRates {
  const kinds = faultKinds.filter((kind) => kind !== 'changeMembers' && !scenarioFaults.has(kind));
  return Object.fromEntries(kinds.map((kind) => [kind, usual[kind].rate]));
}

/** What happens when: everything drawn ahead of time, so that a schedule can be kept, cut down and replayed. */
export function drawSchedule(seed: number, rates: FaultRates, forMs: number): Fault[] {
  const faults: Fault[] = [];
  for (const kind of faultKinds) {
    const rate = rates[kind] ?? 0;
    if (rate <= 0) continue;
    const prng = new Prng((seed ^ Math.imul(faultKinds.indexOf(kind) + 1, 0x9e37_79b1)) >>> 0);
    const meanMs = 60_000 / rate;
    for (let atMs = prng.fraction() * 2 * meanMs; atMs < forMs; atMs += prng.fraction() * 2 * meanMs) {
      faults.push({ kind, atMs, forMs: skewed(prng, 1, usual[kind].forMsMax), seed: prng.uint32() });
    }
  }
  return shuffledByTime(faults);
}

function shuffledByTime(faults: Fault[]): Fault[] {
  return faults.sort((left, right) => left.atMs - right.atMs || left.seed - right.seed);
}

/** Splits a list in two parts that are not empty. */
export function splitInTwo<T>(prng: Prng, list: readonly T[]): [T[], T[]] {
  const order = shuffled(prng, list);
  const at = prng.between(1, list.length - 1);
  return [order.slice(0, at), order.slice(at)];
}
