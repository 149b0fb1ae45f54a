/** What went through one peer's connections, or through all of them. */
export interface TrafficCounters {
  framesSent: number;
  bytesSent: number;
  framesReceived: number;
  bytesReceived: number;
  /** Messages, requests and replies that were not sent: no connection, a full queue, or too large. */
  dropped: number;
  /** Handshakes that succeeded. */
  connections: number;
}

export interface TransportCounters extends TrafficCounters {
  /** Connections ended for what the other side said or was, by error code. */
  readonly rejected: Record<string, number>;
}

export function trafficCounters(): TrafficCounters {
  return { framesSent: 0, bytesSent: 0, framesReceived: 0, bytesReceived: 0, dropped: 0, connections: 0 };
}
