import type { VoteReply, VoteRequest } from '../../core/message.ts';
import type { RaftState } from '../../core/state.ts';
import type { GroupId, Index, Term } from '../../core/types.ts';
import type { SimWorld } from '../checker.ts';

/** Counts why votes are refused: a campaign must have seen every reason there is. */
export class Refusals {
  /** By group, candidate and term: where the candidate's log ended. */
  private readonly logs: Map<string, { readonly lastIndex: Index; readonly lastTerm: Term }> = new Map();

  asked(group: GroupId, { from, term, lastIndex, lastTerm }: VoteRequest): void {
    this.logs.set(`${group}/${from}/${term}`, { lastIndex, lastTerm });
  }

  /** A voter answers no. */
  refused(world: SimWorld, group: GroupId, voter: RaftState, { to, term }: VoteReply): void {
    const asked = this.logs.get(`${group}/${to}/${term}`);
    if (asked === undefined) world.saw('vote refused for a later term');
    else if (voter.term === term && voter.votedFor !== null && voter.votedFor !== to) {
      world.saw('vote refused for another vote');
    } else if (asked.lastTerm < voter.log.lastTerm) world.saw('vote refused for the log');
    else if (asked.lastTerm === voter.log.lastTerm && asked.lastIndex < voter.log.lastIndex) {
      world.saw('vote refused for the log');
    }
  }
}
