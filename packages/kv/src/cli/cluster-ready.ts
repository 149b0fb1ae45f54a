import { NodeHttp } from './node-http.ts';
import type { NodePlan } from './node-plan.ts';

const readyMsMax = 60_000;
const readyPollMs = 100;

/** Resolves when all nodes are ready. Every child must have said that it serves: whoever else listens there may be ready too. */
export async function untilReady(
  plans: readonly NodePlan[],
  basePort: number,
  children: readonly { readonly state: string }[],
): Promise<void> {
  const startedAtMs = performance.now();
  let waiting = '';
  while (performance.now() - startedAtMs < readyMsMax) {
    waiting = '';
    for (const [at, plan] of plans.entries()) {
      waiting ||= children[at]?.state === 'running' ? await notReadyReason(plan) : `${plan.id} is starting`;
    }
    if (waiting === '') return;
    const elsewhere = children.every(({ state }) => state === 'running')
      ? await askFoundedElsewhere(plans, basePort)
      : null;
    if (elsewhere !== null) throw new Error(elsewhere);
    await new Promise((wake) => setTimeout(wake, readyPollMs));
  }
  throw new Error(`the cluster is not ready after ${readyMsMax / 1000} s: ${waiting}; the logs are beside the data`);
}

/** Nodes know each other by the addresses they were founded with: at other ports they look for each other in vain. */
export function foundedElsewhere(
  plans: readonly NodePlan[],
  basePort: number,
  members: readonly { readonly id: string; readonly address: string }[],
): string | null {
  for (const { id, peer } of plans) {
    const address = members.find((member) => member.id === id)?.address ?? peer;
    if (address === peer) continue;
    const before = basePort + portOf(address) - portOf(peer);
    return (
      `the data is of a cluster whose nodes look for ${id} at ${address}, not at ${peer}; ` +
      `give --base-port ${before} as before, or another directory with --data`
    );
  }
  return null;
}

async function askFoundedElsewhere(plans: readonly NodePlan[], basePort: number): Promise<string | null> {
  const [first] = plans as [NodePlan];
  try {
    const response = await new NodeHttp(first.http, process.env['NORI_PASSWORD']).ask('/v1/members');
    const { shards } = (await response.json()) as { shards: { members: { id: string; address: string }[] }[] };
    return foundedElsewhere(plans, basePort, shards[0]?.members ?? []);
  } catch {
    // It is not ready, and says why itself.
    return null;
  }
}

async function notReadyReason(plan: NodePlan): Promise<string> {
  try {
    const response = await fetch(`http://${plan.http}/readyz`, { signal: AbortSignal.timeout(2000) });
    const { reasons } = (await response.json()) as { reasons: string[] };
    return response.ok ? '' : `${plan.id}: ${reasons[0] ?? 'not ready'}`;
  } catch {
    return `${plan.id} does not answer on ${plan.http}`;
  }
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1));
}
