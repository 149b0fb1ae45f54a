/** A byte stream to a peer. All methods are safe after it closed. */
export interface Connection {
  /** Who is at the other end, for logs. */
  readonly remote: string;
  /** Bytes accepted by `send` and not yet taken by the operating system. */
  readonly queuedBytes: number;
  /** Takes the bytes over: the caller does not touch them again. */
  send(bytes: Uint8Array): void;
  /** Ends it at once. `onClose` follows. */
  close(): void;
}

export interface ConnectionEvents {
  /** The bytes belong to the receiver only until it returns. */
  onData(bytes: Uint8Array): void;
  /** Exactly once; `error` is null after an orderly end. `refused` says that nobody listens at the address. */
  onClose(error: Error | null, refused: boolean): void;
}

export interface Listener {
  /** The address really bound, HOST:PORT. */
  readonly address: string;
  close(): Promise<void>;
}

export interface Network {
  /** @throws NoriError ADDRESS_IN_USE or ADDRESS_INVALID. `accept` returns the events of a new inbound connection. */
  listen(address: string, accept: (connection: Connection) => ConnectionEvents): Promise<Listener>;
  /** `onOpen` or `onClose` follows. */
  connect(address: string, events: ConnectionEvents & { onOpen(): void }): Connection;
}
