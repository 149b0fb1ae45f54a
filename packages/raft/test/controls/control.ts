import type { ClientOptions } from '../../src/testkit/clients.ts';

/**
 * One edit of a source file, named as seen from the sources of the library. The text must be there exactly once, so that
 * a control never rots unnoticed.
 */
export interface Edit {
  readonly file: string;
  readonly replace: string;
  readonly by: string;
}

/** What the cluster is put through, beside what the seed draws. All of it travels to another process as JSON. */
export interface Ordeal {
  /** Runs the cluster of cores of test/unit/random.ts instead of whole hosts. Everything below is drawn from the seed then. */
  readonly core?: boolean | 'leases' | { readonly driftPpm: number };
  /** Tells this trace of test/traces instead of running seeds: it must not be told as before. */
  readonly trace?: string;
  /** A scenario of the simulator by its name. What is named below comes on top. */
  readonly scenario?: string;
  /** Default: registers, that have no `conflicts`. */
  readonly workload?: 'kv';
  /** Default: drawn from the seed, as in any campaign. */
  readonly nodes?: number;
  readonly groups?: number;
  /** Default 60. */
  readonly seconds?: number;
  /** Per simulated minute, instead of those drawn from the seed. */
  readonly faults?: Readonly<Record<string, number>>;
  /** Exactly these, each of them steady. */
  readonly schedule?: readonly { readonly kind: string; readonly atMs: number; readonly forMs: number }[];
  readonly clients?: ClientOptions;
  /** Instead of clients: so many writes at every node, at once, which only a leader takes. */
  readonly bursts?: readonly { readonly atMs: number; readonly writes: number }[];
  readonly host?: Readonly<Record<string, unknown>>;
  /** What must go well while a steady fault lasts (SteadyChecker). */
  readonly steady?: {
    readonly fromMs: number;
    readonly toMs: number;
    readonly termsMax: number;
    readonly silenceMsMax: number;
  };
}

/** A rule of the library, broken on purpose: within so many seeds the simulator must say so. */
export interface Control {
  readonly name: string;
  /** The bug, in a sentence. */
  readonly bug: string;
  readonly edits: readonly Edit[];
  /** At most so many seeds, from the first on. */
  readonly seeds: number;
  /** The promises that are found broken. */
  readonly caughtBy: RegExp;
  readonly ordeal?: Ordeal;
  /** Found in so few seeds that every test run can afford it. */
  readonly fast?: boolean;
}

export function edit(file: string, replace: string, by: string): Edit {
  return { file, replace, by };
}
