/** A promise was broken. */
export class Violation extends Error {
  override readonly name = 'Violation';
  /** The promise, by its name in docs or checker. */
  readonly promise: string;

  constructor(promise: string, message: string, cause?: unknown) {
    super(`${promise}: ${message}`, cause === undefined ? undefined : { cause });
    this.promise = promise;
  }
}

export function requireThat(holds: boolean, promise: string, message: () => string): asserts holds {
  if (!holds) throw new Violation(promise, message());
}
