import type { HttpContext } from './context.ts';

/** How far behind the commit index this node may be and still count as caught up. */
const behindMax = 1000;

/** Why this node should not be sent traffic now; empty when it should. */
export function notReadyReasons(node: HttpContext): string[] {
  if (node.failure !== null) return [`the node failed: ${node.failure.message}`];
  const view = node.view();
  if (view === null || node.host === null) return ['the node is reading its log'];
  const reasons: string[] = [];
  const { state, failure, diskFull } = node.host.status();
  if (state !== 'running') reasons.push(failure === null ? `the host is ${state}` : `the host failed: ${failure}`);
  if (diskFull) reasons.push('the disk is full: writes are refused');
  for (const { shard, leader, status } of view.shards) {
    if (status.quarantine !== null) {
      const { stage, reason } = status.quarantine;
      const what = stage === 'refilling' ? 'is being refilled' : 'is in quarantine';
      reasons.push(`shard ${shard} ${what} on this node: ${reason}`);
      continue;
    }
    // It may never get the entry that removes it, and then knows it from its peers alone.
    if (status.removed || !status.members.some(({ id, role }) => id === view.self.id && role !== 'joining')) {
      reasons.push(`this node is no member of shard ${shard}`);
      continue;
    }
    if (status.halted !== null) reasons.push(`shard ${shard} is halted on this node: ${status.halted}`);
    else if (leader === null) reasons.push(`shard ${shard} has no leader`);
    else if (status.commit - status.applied > behindMax) {
      reasons.push(`shard ${shard} is catching up: applied ${status.applied} of ${status.commit}`);
    }
  }
  for (const peer of node.host.peers()) {
    const shards = peer.attributes['shards'];
    if (shards !== undefined && shards !== String(view.shards.length)) {
      reasons.push(`${peer.id} was started with ${shards} shards, this node with ${view.shards.length}`);
    }
  }
  return reasons;
}
