import { KvStateMachine } from './kv-state-machine.ts';

export const engineKinds = ['memory', 'lmdb'] as const;
export type EngineKind = (typeof engineKinds)[number];

/** Where the shards of a node keep their keys. */
export interface Engine {
  /** The state machine of a group, with what it had kept. Ask once for each group. */
  stateMachine(group: number): KvStateMachine;
  /** Nothing is applied any more. */
  close(): Promise<void>;
}

export interface EngineOptions {
  /** A directory of its own, for engines that need one. */
  readonly path: string;
  /** The engine cannot write any more. Told once. */
  readonly onFailed: (error: unknown) => void;
  /** What the engine had kept is damaged: it starts with nothing, and is given everything anew. Default: nobody is told. */
  readonly onDamaged?: (why: string) => void;
}

/** Loads the engine, and opens what it has on disk. */
export async function openEngine(kind: EngineKind, options: EngineOptions): Promise<Engine> {
  if (kind === 'memory') {
    return { stateMachine: () => new KvStateMachine(), close: () => Promise.resolve() };
  }
  const { LmdbEnvironment } = await import('./lmdb/environment.ts');
  const environment = new LmdbEnvironment(options);
  return {
    stateMachine: (group) => new KvStateMachine({ store: environment.store(group) }),
    close: () => environment.close(),
  };
}
