import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { NodePlan } from './node-plan.ts';

const restartDelayMsMin = 200;
const restartDelayMsMax = 5000;
/** A node that ran this long is well again: the next death starts with a short delay. */
const wellAfterMs = 10_000;
const quickDeathsMax = 5;

export interface ChildNodeEvents {
  readonly restart: boolean;
  readonly say: (text: string) => void;
  /** It ended before it ever served. */
  readonly onStartFailed: (error: Error) => void;
  /** It ended and is not started again. */
  readonly onAllDead: () => void;
}

const program = fileURLToPath(new URL('../../bin/nori-kv.js', import.meta.url));

/** One `nori-kv serve` process, started again when it dies. */
export class ChildNode {
  state: 'starting' | 'running' | 'waiting' | 'dead' = 'starting';
  readonly #plan: NodePlan;
  readonly #events: ChildNodeEvents;
  #process: ChildProcess | null = null;
  #everServed = false;
  #stopping = false;
  #startedAtMs = 0;
  #quickDeaths = 0;
  #lastError = '';
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(plan: NodePlan, events: ChildNodeEvents) {
    this.#plan = plan;
    this.#events = events;
  }

  start(): void {
    const log = openSync(this.#plan.logFile, 'a');
    this.#startedAtMs = performance.now();
    this.#lastError = '';
    // In a process group of its own: Ctrl-C in the terminal must reach the supervisor only, which stops the nodes in order.
    const child = spawn(process.execPath, [program, ...this.#plan.args], {
      detached: true,
      stdio: ['ignore', log, 'pipe', 'ipc'],
    });
    closeSync(log);
    this.#process = child;
    child.on('message', () => {
      this.state = 'running';
      if (this.#everServed) this.#events.say(`${this.#plan.id} is back`);
      this.#everServed = true;
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => this.#onError(text));
    child.on('error', (error) => this.#onExit(error.message));
    child.on('exit', (code, signal) => this.#onExit(signal ?? `exit code ${code}`));
  }

  /** Asks it to stop, and kills it when it takes too long. Resolves when it is gone. */
  stop(withinMs: number): Promise<void> {
    this.#stopping = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    const child = this.#process;
    if (child === null) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(() => child.kill('SIGKILL'), withinMs);
      child.once('exit', () => {
        clearTimeout(timer);
        resolve();
      });
      child.kill('SIGTERM');
    });
  }

  kill(): void {
    this.#stopping = true;
    this.#process?.kill('SIGKILL');
  }

  #onError(text: string): void {
    const line = text.trim();
    if (line === '') return;
    this.#lastError = line.split('\n').at(-1) ?? '';
    if (this.#everServed) this.#events.say(`${this.#plan.id}: ${line}`);
  }

  #onExit(how: string): void {
    if (this.#process === null) return;
    this.#process = null;
    if (this.#stopping) return;
    const { id, logFile } = this.#plan;
    if (!this.#everServed) {
      this.state = 'dead';
      const why = this.#lastError === '' ? `${how}; see ${logFile}` : this.#lastError.replace(/^nori-kv: /, '');
      this.#events.onStartFailed(new Error(`${id} cannot start: ${why}`));
      return;
    }
    this.#quickDeaths = performance.now() - this.#startedAtMs > wellAfterMs ? 1 : this.#quickDeaths + 1;
    if (!this.#events.restart) this.#giveUp(`${id} ended (${how}) and is left so`);
    else if (this.#quickDeaths > quickDeathsMax) {
      this.#giveUp(
        `${id} ended (${how}) ${this.#quickDeaths} times in a row and is left so: ${this.#lastError || `see ${logFile}`}`,
      );
    } else this.#restartLater(how);
  }

  #giveUp(text: string): void {
    this.state = 'dead';
    this.#events.say(text);
    this.#events.onAllDead();
  }

  #restartLater(how: string): void {
    this.state = 'waiting';
    const delayMs = Math.min(restartDelayMsMax, restartDelayMsMin * 2 ** (this.#quickDeaths - 1));
    this.#events.say(`${this.#plan.id} ended (${how}); it is started again`);
    this.#timer = setTimeout(() => this.start(), delayMs);
  }
}
