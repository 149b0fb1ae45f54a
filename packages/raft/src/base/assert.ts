/** A broken promise of our own code. The process must stop: state can no longer be trusted. */
export class AssertionFailure extends Error {
  override readonly name = 'AssertionFailure';
}

/**
 * Checks what must hold, in production too. The message is a plain string, so that a check that holds costs no
 * template. Never use it for anything the outside world can cause: that is an error with a code (base/errors.ts).
 */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionFailure(message);
}

/** The end of a switch that names every kind: a new kind does not compile until it is handled. */
export function unreachable(value: never): never {
  throw new AssertionFailure(`unreachable: ${String(value)}`);
}
