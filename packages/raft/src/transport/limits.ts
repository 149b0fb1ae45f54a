import { NoriError } from '../base/errors.ts';

/** Everything the transport may wait for or keep has a limit, and this is the list. */
export interface TransportLimits {
  /** The largest frame accepted or sent after the handshake. Set the same on every node. */
  readonly frameBytesMax: number;
  /** A frame that has grown this large is closed and the next one begun, so that the peer can start on it. */
  readonly frameTargetBytes: number;
  /** Bytes waiting for one peer, unflushed or untaken by the operating system. Above it messages are dropped. */
  readonly queueBytesMax: number;
  /** Until the peer's address accepts the connection. */
  readonly connectTimeoutMs: number;
  /** From the first byte that could flow until both sides have welcomed each other. */
  readonly handshakeTimeoutMs: number;
  /** Inbound connections that have not finished their handshake; one more ends the oldest. */
  readonly halfOpenMax: number;
  readonly backoffMsMin: number;
  readonly backoffMsMax: number;
  /** A connection that was up this long makes the next backoff start anew. */
  readonly livedMs: number;
  /** A peer not heard from for one such interval is pinged; after `silentPings` of them it is given up. */
  readonly pingMs: number;
  readonly silentPings: number;
  /** Calls of `onRejected` per second; the counters count all. */
  readonly rejectReportsPerSecondMax: number;
}

export const defaultLimits: TransportLimits = {
  frameBytesMax: 32 * 1024 * 1024,
  frameTargetBytes: 1024 * 1024,
  queueBytesMax: 32 * 1024 * 1024,
  connectTimeoutMs: 1_000,
  handshakeTimeoutMs: 3_000,
  halfOpenMax: 64,
  backoffMsMin: 50,
  backoffMsMax: 2_000,
  livedMs: 2_000,
  pingMs: 1_000,
  silentPings: 4,
  rejectReportsPerSecondMax: 10,
};

/** @throws NoriError CONFIG_INVALID naming the limit that cannot be. */
export function resolveLimits(given: Partial<TransportLimits> = {}): TransportLimits {
  const limits: TransportLimits = { ...defaultLimits, ...given };
  for (const [name, value] of Object.entries(limits) as [keyof TransportLimits, number][]) {
    if (!(Object.hasOwn(defaultLimits, name) && Number.isSafeInteger(value) && value > 0)) {
      throw new NoriError('CONFIG_INVALID', { message: `transport limit ${name} is not a whole number above 0` });
    }
  }
  if (limits.frameBytesMax >= 2 ** 31 || limits.frameTargetBytes * 2 > limits.frameBytesMax) {
    throw new NoriError('CONFIG_INVALID', {
      message: 'transport limit frameBytesMax is not below 2 GiB and at least twice frameTargetBytes',
    });
  }
  if (limits.backoffMsMin > limits.backoffMsMax) {
    throw new NoriError('CONFIG_INVALID', { message: 'transport limit backoffMsMin is above backoffMsMax' });
  }
  return limits;
}
