const pollMs = 25;

export function sleep(durationMs: number): Promise<void> {
  return new Promise((wake) => setTimeout(wake, durationMs));
}

/**
 * Asks until the answer is neither null nor false, and returns it. A probe that throws is asked again. The bound is one
 * of liveness, generous on purpose: nothing here measures speed.
 */
export async function until<T>(
  what: string,
  probe: () => Promise<T | null | false> | T | null | false,
  timeoutMs = 30_000,
): Promise<T> {
  const startedAtMs = performance.now();
  let last: unknown = 'nothing yet';
  for (;;) {
    try {
      const answer = await probe();
      if (answer !== null && answer !== false) return answer;
      last = answer;
    } catch (error) {
      last = error;
    }
    if (performance.now() - startedAtMs > timeoutMs) {
      throw new Error(`not within ${timeoutMs} ms: ${what} (last: ${String(last)})`, { cause: last });
    }
    await sleep(pollMs);
  }
}
