import type { Connection, ConnectionEvents, Listener, Network } from '../../ports/network.ts';
import { concat } from './payload.ts';
import type { Patience } from './suite.ts';

/** One end of a connection, and everything it was told. */
export class End implements ConnectionEvents {
  closes = 0;
  error: Error | null = null;
  refused = false;
  bytes = 0;
  /** What came out of order: data or an opening after the end, or after this end had closed. */
  strays: string[] = [];
  opened = 0;
  /** Something was told before connect, or close, returned. */
  tooEarly = false;
  /** Set while a call into the port is under way. */
  inCall = false;
  /** This end has called close. */
  left = false;
  /** Runs when the connection is open, and at every piece of data. */
  onOpened: (end: End) => void = () => undefined;
  onPiece: (end: End) => void = () => undefined;
  connection: Connection | null = null;
  private readonly pieces: Uint8Array[] = [];

  get received(): Uint8Array {
    return concat(this.pieces);
  }

  send(bytes: Uint8Array): void {
    this.connection?.send(bytes);
  }

  close(): void {
    this.left = true;
    this.inCall = true;
    this.connection?.close();
    this.inCall = false;
  }

  onOpen(): void {
    this.opened += 1;
    if (this.inCall) this.tooEarly = true;
    if (this.closes > 0 || this.left) this.strays.push('an opening');
    this.onOpened(this);
  }

  onData(bytes: Uint8Array): void {
    if (this.closes > 0 || this.left) this.strays.push(`${bytes.length} bytes`);
    // They are the receiver's only until it returns.
    this.pieces.push(bytes.slice());
    this.bytes += bytes.length;
    this.onPiece(this);
  }

  onClose(error: Error | null, refused: boolean): void {
    this.closes += 1;
    if (this.inCall) this.tooEarly = true;
    this.error = error;
    this.refused = refused;
  }
}

/** Who dialed, and who was dialed. */
export interface Pair {
  readonly near: End;
  readonly far: End;
}

/** Dials and answers, and hangs up in the end. */
export class Exchange {
  readonly network: Network;
  readonly remote: Network;
  readonly patience: Patience;
  private readonly all: End[] = [];
  private readonly listeners: Listener[] = [];

  constructor(networks: { readonly network: Network; readonly remote: Network }, patience: Patience) {
    this.network = networks.network;
    this.remote = networks.remote;
    this.patience = patience;
  }

  /** A listener whose connections become ends, in the order in which they were accepted. */
  async listen(
    address: string,
    greet: (end: End) => void = () => undefined,
  ): Promise<{ readonly listener: Listener; readonly ends: End[] }> {
    const ends: End[] = [];
    const listening = this.network.listen(address, (connection) => {
      const end = new End();
      end.connection = connection;
      ends.push(end);
      this.all.push(end);
      greet(end);
      return end;
    });
    const listener = await this.patience.within(listening, 'a listener');
    this.listeners.push(listener);
    return { listener, ends };
  }

  dial(address: string, onOpened: (end: End) => void = () => undefined): End {
    const end = new End();
    this.all.push(end);
    end.onOpened = onOpened;
    end.inCall = true;
    end.connection = this.remote.connect(address, end);
    end.inCall = false;
    return end;
  }

  /** Two ends that are connected. */
  async pair(address: string): Promise<Pair> {
    const { listener, ends } = await this.listen(address);
    const near = this.dial(listener.address);
    await this.patience.until(() => near.opened > 0 && ends.length > 0, 'a connection to open');
    return { near, far: ends[0] as End };
  }

  /** Whatever a law left open, whether it was kept or not. */
  async hangUp(): Promise<void> {
    for (const end of this.all) end.close();
    for (const listener of this.listeners) await this.patience.within(listener.close(), 'a listener to close');
  }
}
