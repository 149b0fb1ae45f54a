import type { NoriError } from 'nori-raft';
import type { Failure } from '../router/call.ts';

/**
 * The text of an error reply (without the `-`). Clients act on the first word: they retry by themselves on TRYAGAIN and
 * CLUSTERDOWN and follow MOVED, so these three are said only when the command certainly was not applied.
 * docs/redis.md has the table.
 */
export function errorText(failure: Failure, write: boolean): string {
  if (failure.moved !== null) return `MOVED ${failure.moved.slot} ${failure.moved.address}`;
  if (failure.error === null) return 'ERR the command failed';
  return write ? writeErrorText(failure.error) : readErrorText(failure.error);
}

function writeErrorText(error: NoriError): string {
  if (error.outcome !== 'notApplied') {
    return `UNKNOWNOUTCOME the command may or may not have been applied; read before sending it again (${error.code}: ${error.message})`;
  }
  switch (error.code) {
    case 'DISK_FULL':
      return `DISKFULL ${error.message}; ${error.remedy}`;
    case 'OVERLOADED':
    case 'PROPOSAL_DROPPED':
      return `TRYAGAIN ${error.message}; the command was not applied`;
    case 'PAYLOAD_TOO_LARGE':
    case 'UNSUPPORTED':
      return `ERR ${error.message}; ${error.remedy}`;
    default:
      return `CLUSTERDOWN ${error.message}; the command was not applied`;
  }
}

/** A read changes nothing, so it may always be sent again. */
function readErrorText(error: NoriError): string {
  switch (error.code) {
    case 'OVERLOADED':
    case 'READ_IN_LIMBO':
      return `TRYAGAIN ${error.message}`;
    case 'APPLY_FAILED':
    case 'PAYLOAD_TOO_LARGE':
    case 'UNSUPPORTED':
      return `ERR ${error.message}; ${error.remedy}`;
    default:
      return `CLUSTERDOWN ${error.message}`;
  }
}
