/** A pending wake-up. */
export interface Timer {
  cancel(): void;
}

/** Time, as durations (monotonic) and as dates (wall). Offsets of two nodes' clocks are never compared. */
export interface Clock {
  /** Monotonic milliseconds from an arbitrary start. */
  nowMs(): number;
  /** Milliseconds since the Unix epoch. May jump. */
  wallMs(): number;
  /** Calls `wake` once, at or soon after `atMs` of `nowMs`. */
  wakeAt(atMs: number, wake: () => void): Timer;
  /** Calls `run` once, after the input and output events that are ready now: what arrives together is handled together. */
  soon(run: () => void): void;
}
