import type { Clock } from '../../ports/clock.ts';
import { hostClock } from './host-clock.ts';

/** What every subject may bring besides the thing that is judged. */
export interface Trial {
  /** Measures patience: how long a law waits for an answer. A simulated subject brings the clock it lives by. */
  readonly clock?: Clock;
  /** An answer that takes longer never came. */
  readonly patienceMs?: number;
  /** How long a law listens for what must not happen. */
  readonly quietMs?: number;
  /** Called once the law is judged, whatever came out. */
  readonly dispose?: () => Promise<void> | void;
}

export interface Law<Subject> {
  /** The sentence that holds. */
  readonly name: string;
  /** Whether the subject brings what the law needs. */
  applies(subject: Subject): boolean;
  /** @throws ConformanceFailure. */
  check(subject: Subject): Promise<void>;
}

export interface Suite<Subject> {
  readonly port: string;
  readonly laws: readonly Law<Subject>[];
}

/** A law of a port that an implementation breaks. */
export class ConformanceFailure extends Error {
  override readonly name = 'ConformanceFailure';
  readonly port: string;
  readonly law: string;
  readonly seen: string;

  constructor(broken: {
    readonly port: string;
    readonly law: string;
    readonly seen: string;
    readonly cause?: unknown;
  }) {
    super(
      `${broken.port} breaks the law "${broken.law}": ${broken.seen}`,
      broken.cause === undefined ? undefined : { cause: broken.cause },
    );
    this.port = broken.port;
    this.law = broken.law;
    this.seen = broken.seen;
  }
}

/** What a law saw; the law's own name is added by whoever runs it. */
export class Seen extends Error {
  override readonly name = 'Seen';
}

export type Verdict = 'kept' | 'broken' | 'skipped';

export interface Judgement {
  readonly law: string;
  readonly verdict: Verdict;
  readonly failure: ConformanceFailure | null;
}

export interface ConformanceReport {
  readonly port: string;
  readonly judgements: readonly Judgement[];
  /** True when no law is broken. */
  readonly passed: boolean;
  /** One line per law. */
  readonly text: string;
}

/** Not what the suite's subject is inferred from: what is made must be what the suite asks for. */
type Make<Subject> = () => NoInfer<Subject> | Promise<NoInfer<Subject>>;

/** Judges every law by a subject of its own. Never throws for a broken law: the report says it. */
export async function runConformance<Subject extends Trial>(
  suite: Suite<Subject>,
  make: Make<Subject>,
): Promise<ConformanceReport> {
  const judgements: Judgement[] = [];
  for (const law of suite.laws) judgements.push(await judge(law, make));
  const lines = judgements.map(({ law, verdict, failure }) =>
    failure === null ? `${verdict}: ${law}` : `${verdict}: ${law}: ${failure.seen}`,
  );
  return {
    port: suite.port,
    judgements,
    passed: judgements.every(({ verdict }) => verdict !== 'broken'),
    text: [suite.port, ...lines].join('\n'),
  };
}

/** One test per law, for any test runner: `for (const { name, run } of conformanceTests(...)) test(name, run)`. */
export function conformanceTests<Subject extends Trial>(
  suite: Suite<Subject>,
  make: Make<Subject>,
): readonly { readonly name: string; readonly run: () => Promise<void> }[] {
  return suite.laws.map((law) => ({
    name: `${suite.port}: ${law.name}`,
    run: async () => {
      const { failure } = await judge(law, make);
      if (failure !== null) throw failure;
    },
  }));
}

async function judge<Subject extends Trial>(law: Law<Subject>, make: Make<Subject>): Promise<Judgement> {
  const subject = await make();
  try {
    if (!law.applies(subject)) return { law: law.name, verdict: 'skipped', failure: null };
    await law.check(subject);
    return { law: law.name, verdict: 'kept', failure: null };
  } catch (error) {
    if (!(error instanceof ConformanceFailure)) throw error;
    return { law: law.name, verdict: 'broken', failure: error };
  } finally {
    await subject.dispose?.();
  }
}

/** The laws of a port. `bench` gives a law what it works with; whatever it throws, the law is broken. */
export class LawBook<Subject extends Trial, Bench> {
  readonly laws: Law<Subject>[] = [];
  private readonly port: string;
  private readonly bench: (subject: Subject, patience: Patience) => Bench;

  private readonly cleanUp: (bench: Bench) => Promise<void>;

  constructor(
    port: string,
    bench: (subject: Subject, patience: Patience) => Bench,
    cleanUp: (bench: Bench) => Promise<void> = () => Promise.resolve(),
  ) {
    this.port = port;
    this.bench = bench;
    this.cleanUp = cleanUp;
  }

  law(name: string, check: (bench: Bench) => Promise<void>, applies: (subject: Subject) => boolean = () => true): void {
    this.laws.push({ name, applies, check: (subject) => this.judged(name, subject, check) });
  }

  private async judged(law: string, subject: Subject, check: (bench: Bench) => Promise<void>): Promise<void> {
    const patience = new Patience(subject);
    const bench = this.bench(subject, patience);
    try {
      await patience.within(check(bench), 'the law to be judged', 4);
      // Kept laws must be able to end as well; of a broken one the breach is what matters.
      await this.cleanUp(bench);
    } catch (cause) {
      await this.cleanUp(bench).catch(() => undefined);
      const { port } = this;
      if (cause instanceof Seen) throw new ConformanceFailure({ port, law, seen: cause.message });
      const said = cause instanceof Error ? cause.message : String(cause);
      throw new ConformanceFailure({ port, law, seen: `it threw "${said}"`, cause });
    }
  }
}

/** Waits, but not for ever. */
export class Patience {
  readonly clock: Clock;
  private readonly limitMs: number;
  private readonly quietMs: number;

  constructor(trial: Trial) {
    this.clock = trial.clock ?? hostClock();
    this.limitMs = trial.patienceMs ?? 10_000;
    this.quietMs = trial.quietMs ?? 20;
  }

  /** The promise's answer, unless it comes too late. */
  within<T>(promise: Promise<T>, what: string, times = 1): Promise<T> {
    const limitMs = this.limitMs * times;
    return new Promise((resolve, reject) => {
      const timer = this.clock.wakeAt(this.clock.nowMs() + limitMs, () => {
        reject(new Seen(`waited ${limitMs} ms for ${what}`));
      });
      promise.finally(() => timer.cancel()).then(resolve, reject);
    });
  }

  async until(holds: () => boolean, what: string): Promise<void> {
    const endMs = this.clock.nowMs() + this.limitMs;
    while (!holds()) {
      if (this.clock.nowMs() > endMs) throw new Seen(`waited ${this.limitMs} ms for ${what}`);
      await this.pause(1);
    }
  }

  /** Long enough for what must not happen to happen. */
  quiet(): Promise<void> {
    return this.pause(this.quietMs);
  }

  pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.clock.wakeAt(this.clock.nowMs() + ms, resolve);
    });
  }
}

/** What must be so; `seen` says what was there instead. */
export function must(holds: boolean, seen: string): asserts holds {
  if (!holds) throw new Seen(seen);
}

export function mustEqual(seen: Uint8Array, expected: Uint8Array, what: string): void {
  if (seen.length !== expected.length) {
    throw new Seen(`${what}: ${seen.length} bytes, where ${expected.length} were expected`);
  }
  for (let at = 0; at < seen.length; at += 1) {
    if (seen[at] === expected[at]) continue;
    throw new Seen(`${what}: byte ${at} is ${seen[at]}, where ${expected[at]} was expected`);
  }
}

/** The error an operation fails with; that it succeeds is seen as a breach. */
export async function refusal(operation: Promise<unknown>, what: string): Promise<{ readonly code: unknown }> {
  let error: unknown;
  try {
    await operation;
  } catch (thrown) {
    error = thrown;
  }
  if (error === undefined) throw new Seen(`${what} succeeded`);
  return { code: typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined };
}
