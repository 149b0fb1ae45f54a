import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { sleep } from './until.ts';

const productProgram = fileURLToPath(new URL('../../bin/nori-kv.js', import.meta.url));
const running = new Set<ChildProcess>();

// A test run that dies must leave no server behind.
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** One run of the command `nori-kv`, as an operator would see it: what it prints, and how it ends. */
export class NodeProcess {
  readonly exited: Promise<Exit>;
  stdout = '';
  stderr = '';
  exit: Exit | null = null;
  readonly #child: ChildProcess;

  constructor(
    args: readonly string[],
    environment: Readonly<Record<string, string>> = {},
    program: string = productProgram,
  ) {
    const child = spawn(process.execPath, [program, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...cleanEnvironment(), ...environment },
    });
    this.#child = child;
    running.add(child);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.exited = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        running.delete(child);
        this.exit = { code, signal };
        resolve(this.exit);
      });
    });
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  get alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** What it logged, one JSON object per line. */
  get log(): { msg?: string; [key: string]: unknown }[] {
    return this.stdout
      .split('\n')
      .filter((line) => line.startsWith('{') && line.endsWith('}'))
      .map((line) => JSON.parse(line) as { msg?: string });
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** kill -9, and gone when this resolves. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.exited;
  }

  /** Ends it as an operator would. */
  async stop(name: NodeJS.Signals = 'SIGTERM'): Promise<Exit> {
    this.#child.kill(name);
    return this.exited;
  }

  /** How it ended by itself; fails when it has not after `timeoutMs`. */
  async ended(timeoutMs = 30_000): Promise<Exit> {
    const exit = await Promise.race([this.exited, sleep(timeoutMs).then(() => null)]);
    if (exit !== null) return exit;
    await this.kill();
    throw new Error(`still running after ${timeoutMs} ms; it said:\n${this.stdout.slice(-2000)}\n${this.stderr}`);
  }
}

/** Without the variables that vitest or a developer's shell would give a node. */
function cleanEnvironment(): Record<string, string | undefined> {
  const names = Object.keys(process.env).filter(
    (name) => !name.startsWith('NORI_') && !name.startsWith('VITEST') && name !== 'NODE_OPTIONS' && name !== 'NODE_ENV',
  );
  return { ...Object.fromEntries(names.map((name) => [name, process.env[name]])), NO_COLOR: '1' };
}
