/**
 * What a caller may conclude about a command after an error. `notApplied`: certainly never applied, safe to send
 * again. `unknown`: it may have been applied or may still be; sending it again may apply it twice. `none`: the error
 * is not about a command.
 */
export type Outcome = 'notApplied' | 'unknown' | 'none';

export interface CodeFacts {
  readonly outcome: Outcome;
  readonly retryable: boolean;
  readonly remedy: string;
}

const fact = (outcome: Outcome, retryable: boolean, remedy: string): CodeFacts => ({ outcome, retryable, remedy });

export type ErrorCode =
  | 'NOT_LEADER'
  | 'NOT_MEMBER'
  | 'QUORUM_UNAVAILABLE'
  | 'COMMIT_TIMEOUT'
  | 'PROPOSAL_DROPPED'
  | 'OUTCOME_UNKNOWN'
  | 'OVERLOADED'
  | 'PAYLOAD_TOO_LARGE'
  | 'READ_TIMEOUT'
  | 'READ_IN_LIMBO'
  | 'ABORTED'
  | 'APPLY_FAILED'
  | 'DISK_FULL'
  | 'DISK_FAILED'
  | 'WAL_DAMAGED'
  | 'SNAPSHOT_DAMAGED'
  | 'SNAPSHOT_FAILED'
  | 'APPLIED_GAP'
  | 'FORMAT_TOO_NEW'
  | 'STATE_FOREIGN'
  | 'STATE_DAMAGED'
  | 'DATA_DIR_LOCKED'
  | 'DATA_DIR_UNUSABLE'
  | 'DATA_DIR_EMPTY'
  | 'DATA_DIR_FOREIGN'
  | 'WIRE_MALFORMED'
  | 'WIRE_TOO_LARGE'
  | 'WIRE_CHECKSUM'
  | 'WIRE_VERSION'
  | 'WRONG_CLUSTER'
  | 'WRONG_NODE'
  | 'UNKNOWN_MEMBER'
  | 'DISK_REPLACED'
  | 'STALE_INCARNATION'
  | 'ADDRESS_IN_USE'
  | 'ADDRESS_INVALID'
  | 'CONFIG_INVALID'
  | 'CONFIGURATION_INVALID'
  | 'RECOVERY_REFUSED'
  | 'CHANGE_IN_PROGRESS'
  | 'CHANGE_GIVEN_UP'
  | 'GROUP_EXISTS'
  | 'GROUP_UNKNOWN'
  | 'GROUP_DESTROYED'
  | 'GROUP_QUARANTINED'
  | 'CLOSED'
  | 'UNSUPPORTED';

/** Every code the library throws, with what it means for the caller. docs/errors.md is checked against this table. */
export const errorCodes: Readonly<Record<ErrorCode, CodeFacts>> = {
  // proposals and reads
  NOT_LEADER: fact('notApplied', true, 'send it to leaderHint, or ask again once a leader is known'),
  NOT_MEMBER: fact('notApplied', false, 'ask a node that is in the group: this one was removed from it'),
  QUORUM_UNAVAILABLE: fact('notApplied', true, 'bring a majority of the voters back, then retry'),
  COMMIT_TIMEOUT: fact('unknown', false, 'read the state before sending the command again: it may still be applied'),
  PROPOSAL_DROPPED: fact('notApplied', true, 'retry: another leader overwrote the entry before it was committed'),
  OUTCOME_UNKNOWN: fact('unknown', false, 'read the state before sending the command again: the answer was lost'),
  OVERLOADED: fact('notApplied', true, 'slow down and retry: a bounded queue is full'),
  PAYLOAD_TOO_LARGE: fact('notApplied', false, 'send a smaller command, or raise commandBytesMax on every node'),
  READ_IN_LIMBO: fact(
    'none',
    true,
    'retry after retryAfterMs: a new leader does not know yet whether what the read depends on was committed',
  ),
  APPLIED_GAP: fact('none', false, 'a snapshot took the place of commands: read the state, then subscribe anew'),
  READ_TIMEOUT: fact('none', true, 'retry, or ask for a stale read'),
  ABORTED: fact('unknown', false, 'the caller gave up; a proposed command may still be applied'),
  APPLY_FAILED: fact('unknown', false, 'the state machine threw: mend it, then restart the node'),
  // storage
  DISK_FULL: fact('notApplied', true, 'free space on the volume of the data directory; writes resume by themselves'),
  DISK_FAILED: fact('unknown', false, 'replace the disk or fix the volume, then restart the node'),
  WAL_DAMAGED: fact('none', false, 'do not delete it: restore the data directory, or replace the node'),
  SNAPSHOT_DAMAGED: fact('none', false, 'do not delete it: restore the data directory, or replace the node'),
  SNAPSHOT_FAILED: fact('none', true, 'the state is as it was: see the cause, then try again'),
  FORMAT_TOO_NEW: fact('none', false, 'start a version of nori-raft at least as new as the one that wrote this'),
  STATE_DAMAGED: fact(
    'unknown',
    false,
    'restart the node: a state machine with a store of its own is built anew from the log and the snapshots',
  ),
  STATE_FOREIGN: fact(
    'none',
    false,
    "remove the state machine's own store, so that it is built anew from the log and the snapshots",
  ),
  DATA_DIR_LOCKED: fact('none', false, 'stop the other process, or give this one a directory of its own'),
  DATA_DIR_UNUSABLE: fact('none', false, 'create the directory and make it writable for this user'),
  DATA_DIR_EMPTY: fact('none', false, 'start it once with bootstrap to found a new cluster'),
  DATA_DIR_FOREIGN: fact(
    'none',
    false,
    'the directory belongs to another node, or to a cluster with another name or other founders: check id, members and path',
  ),
  // transport and identity
  WIRE_MALFORMED: fact('none', false, 'something that is not a peer spoke to the peer port, or the link is damaged'),
  WIRE_TOO_LARGE: fact('none', false, 'set the same size limits on every node'),
  WIRE_CHECKSUM: fact('none', true, 'the link damaged a frame; the connection is made anew'),
  WIRE_VERSION: fact('none', false, 'upgrade the older node: no common protocol version'),
  WRONG_CLUSTER: fact('none', false, 'the address belongs to another cluster: check members and addresses'),
  WRONG_NODE: fact('none', false, 'the address belongs to another node: check members and addresses'),
  UNKNOWN_MEMBER: fact('none', false, 'add the node to the members of the cluster first'),
  DISK_REPLACED: fact(
    'none',
    false,
    'a wiped node may not vote under its old name: restore its disk, or remove the member and add it again, or give it a new id',
  ),
  STALE_INCARNATION: fact(
    'none',
    false,
    'an old copy of the data directory, or a second process under the same id: stop it',
  ),
  ADDRESS_IN_USE: fact('none', false, 'stop what listens there, or choose another port'),
  ADDRESS_INVALID: fact('none', false, 'write an address as HOST:PORT'),
  // use
  CONFIG_INVALID: fact('none', false, 'mend the field the message names'),
  CONFIGURATION_INVALID: fact('notApplied', false, 'ask for a change the current configuration allows'),
  RECOVERY_REFUSED: fact('none', false, 'nothing was changed: the message says why survivors may not go on alone'),
  CHANGE_IN_PROGRESS: fact('notApplied', true, 'wait for the change of members under way, or give it up'),
  CHANGE_GIVEN_UP: fact(
    'notApplied',
    true,
    'a new member could not keep up, or somebody gave the change up: look at the new member, then retry',
  ),
  GROUP_EXISTS: fact('none', false, 'use the group that exists, or another id'),
  GROUP_UNKNOWN: fact('notApplied', false, 'create the group on this host first'),
  GROUP_DESTROYED: fact('unknown', false, 'the group was destroyed on this host'),
  GROUP_QUARANTINED: fact(
    'notApplied',
    true,
    'its log or snapshot is damaged on this node: ask another one; it is refilled by itself (docs/operations.md)',
  ),
  CLOSED: fact('unknown', false, 'the node is closed; a command in flight may still be applied by the others'),
  UNSUPPORTED: fact('notApplied', false, 'this version cannot do that yet'),
};

export interface NoriErrorDetails {
  /** What happened, in one line, with the names involved. */
  readonly message: string;
  /** Overrides the remedy of the table with a sharper one. */
  readonly remedy?: string;
  /** Overrides the outcome of the table, when this throw knows better. */
  readonly outcome?: Outcome;
  /** The node believed to lead now, when the code is NOT_LEADER. */
  readonly leaderHint?: string | null;
  /** After how long, in ms, trying again makes sense, when that is known. */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
  /** The damaged file, when the code is about one. */
  readonly file?: string;
  /** Where in the file, in bytes. */
  readonly offset?: number;
}

/** The one error class of the library. `code` is stable; the text of `message` is not. */
export class NoriError extends Error {
  override readonly name = 'NoriError';
  readonly code: ErrorCode;
  readonly outcome: Outcome;
  /** True when sending the same thing again later can succeed and cannot do harm. */
  readonly retryable: boolean;
  readonly remedy: string;
  readonly leaderHint: string | null;
  /** After how long, in ms, trying again makes sense; null when that is not known. */
  readonly retryAfterMs: number | null;
  readonly file: string | null;
  readonly offset: number | null;

  constructor(code: ErrorCode, details: NoriErrorDetails) {
    const facts: CodeFacts = errorCodes[code];
    super(details.message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.outcome = details.outcome ?? facts.outcome;
    this.retryable = facts.retryable && this.outcome !== 'unknown';
    this.remedy = details.remedy ?? facts.remedy;
    this.leaderHint = details.leaderHint ?? null;
    this.retryAfterMs = details.retryAfterMs ?? null;
    this.file = details.file ?? null;
    this.offset = details.offset ?? null;
  }
}

/** A state machine's word for its own state (see StateMachine). */
export function isStateDamaged(cause: unknown): cause is NoriError {
  return cause instanceof NoriError && cause.code === 'STATE_DAMAGED';
}
