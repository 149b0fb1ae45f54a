// STAND-IN until the real one lands (the WAL founder is writing it): memory only. Overwrite this file.
import type { NodeId } from '../core/types.ts';
export interface PeerIdentity { readonly diskId: Uint8Array; readonly incarnation: { readonly counter: number; readonly nonce: Uint8Array }; readonly attributes: Readonly<Record<string, string>> }
export function judgePeer(_known: PeerIdentity | undefined, _claimed: PeerIdentity): 'accept' | 'record' | 'DISK_REPLACED' | 'STALE_INCARNATION' { return 'record'; }
export class DataDirectory {
  static open(o: { disk: unknown; lock: unknown; random: { bytes(n: number): Uint8Array }; directory: string; nodeId: NodeId; clusterId: Uint8Array; bootstrap: boolean }): Promise<DataDirectory> { return Promise.resolve(new DataDirectory(o.random, o.clusterId)); }
  readonly clusterId: Uint8Array; readonly diskId: Uint8Array; readonly incarnation: PeerIdentity['incarnation'];
  readonly peers: Map<NodeId, PeerIdentity> = new Map(); founded = false;
  constructor(random: { bytes(n: number): Uint8Array }, clusterId: Uint8Array) { this.clusterId = clusterId; this.diskId = random.bytes(16); this.incarnation = { counter: 1, nonce: random.bytes(8) }; }
  recordPeer(id: NodeId, p: PeerIdentity): Promise<void> { this.peers.set(id, p); return Promise.resolve(); }
  markFounded(): Promise<void> { this.founded = true; return Promise.resolve(); }
  close(): Promise<void> { return Promise.resolve(); }
}
