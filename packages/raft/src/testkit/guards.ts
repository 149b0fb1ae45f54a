// While a simulation runs, real time, timers and chance are out of reach: whoever asks for them would make one seed
// give two histories. So they throw.

type Globals = Record<string, unknown>;

const globals = globalThis as unknown as Globals;
const real = {
  setImmediate: globals['setImmediate'] as ((run: () => void) => unknown) | undefined,
  now: performance.now.bind(performance),
};

/** Thrown by what a simulated program must not call. */
export class RealWorldError extends Error {
  override readonly name = 'RealWorldError';
}

/** Milliseconds of this machine, for those outside the simulation who measure it. */
export function realNowMs(): number {
  return real.now();
}

/** Resolves when no promise is left that could still be carried on. */
export function microtasksDrained(): Promise<void> {
  const { setImmediate } = real;
  if (setImmediate !== undefined) {
    return new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
  return new Promise((resolve) => {
    const channel = new MessageChannel();
    (channel.port1 as unknown as { onmessage: () => void }).onmessage = () => {
      channel.port1.close();
      resolve();
    };
    channel.port2.postMessage(null);
  });
}

let depth = 0;
let restores: (() => void)[] = [];

/** Shuts the real world out until `release` is called as often as this. */
export function shutOutRealWorld(): { release(): void } {
  if (depth === 0) install();
  depth += 1;
  let released = false;
  return {
    release: () => {
      if (released) return;
      released = true;
      depth -= 1;
      if (depth === 0) restore();
    },
  };
}

function install(): void {
  replace(globals, 'Date', forbiddenDate());
  for (const name of ['setTimeout', 'setInterval', 'setImmediate']) forbid(globals, name, name);
  forbid(Math as unknown as Globals, 'random', 'Math.random');
  forbid(performance as unknown as Globals, 'now', 'performance.now');
  const webCrypto = globals['crypto'] as Globals | undefined;
  if (webCrypto !== undefined) {
    for (const name of ['getRandomValues', 'randomUUID']) forbid(webCrypto, name, `crypto.${name}`);
  }
  const process = globals['process'] as Globals | undefined;
  if (process === undefined) return;
  forbid(process, 'hrtime', 'process.hrtime');
  const builtin = process['getBuiltinModule'] as ((name: string) => Globals | undefined) | undefined;
  const nodeCrypto = builtin?.('node:crypto');
  if (nodeCrypto === undefined) return;
  for (const name of ['randomFillSync', 'randomFill', 'randomBytes', 'randomInt', 'randomUUID']) {
    forbid(nodeCrypto, name, `crypto.${name}`);
  }
  syncBuiltins();
}

function restore(): void {
  for (const undo of restores.reverse()) undo();
  restores = [];
  syncBuiltins();
}

/** Programs that imported a builtin's names see the change only after this. */
function syncBuiltins(): void {
  const process = globals['process'] as { getBuiltinModule?: (name: string) => Globals | undefined } | undefined;
  const sync = process?.getBuiltinModule?.('node:module')?.['syncBuiltinESMExports'];
  if (typeof sync === 'function') sync();
}

function forbid(owner: Globals, name: string, said: string): void {
  replace(owner, name, () => {
    throw new RealWorldError(`${said} was called inside a simulation: time and chance come through the ports`);
  });
}

function replace(owner: Globals, name: string, value: unknown): void {
  const before = Object.getOwnPropertyDescriptor(owner, name);
  if (before !== undefined && before.configurable !== true) return;
  Object.defineProperty(owner, name, { value, configurable: true, writable: true, enumerable: false });
  restores.push(() => {
    if (before === undefined) delete owner[name];
    else Object.defineProperty(owner, name, before);
  });
}

/** Dates may be made from numbers, which is arithmetic, but not from the moment. */
function forbiddenDate(): unknown {
  const RealDate = globals['Date'] as new (...args: unknown[]) => object;
  const refuse = (): never => {
    throw new RealWorldError('Date was asked for the time inside a simulation: it comes through the Clock port');
  };
  return new Proxy(RealDate, {
    apply: refuse,
    construct: (target, args: unknown[]) => (args.length === 0 ? refuse() : new target(...args)),
    get: (target, name) => (name === 'now' ? refuse : (Reflect.get(target, name) as unknown)),
  });
}
