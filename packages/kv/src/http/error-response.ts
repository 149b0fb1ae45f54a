import type { Context } from 'hono';
import { NoriError } from 'nori-raft';

/** The JSON of an error. Never a stack trace. */
export function errorBody(error: unknown): Record<string, unknown> {
  if (!(error instanceof NoriError))
    return { code: 'INTERNAL', message: 'the node could not answer; its log says why' };
  const { code, message, remedy, outcome, leaderHint, retryAfterMs } = error;
  return {
    code,
    message,
    remedy,
    outcome,
    ...(leaderHint === null ? {} : { leaderHint }),
    ...(retryAfterMs === null ? {} : { retryAfterMs }),
  };
}

/** 503: not applied, or only a read: come again. 504: the outcome is unknown. */
export function failedResponse(c: Context, error: NoriError, write: boolean): Response {
  if (error.code === 'PAYLOAD_TOO_LARGE') return c.json(errorBody(error), 413);
  if (error.code === 'DISK_FULL') return c.json(errorBody(error), 507);
  if (error.code === 'UNSUPPORTED') return c.json(errorBody(error), 501);
  if (write && error.outcome !== 'notApplied') return c.json(errorBody(error), 504);
  const seconds = Math.max(1, Math.ceil((error.retryAfterMs ?? 0) / 1000));
  return c.json(errorBody(error), 503, { 'retry-after': String(seconds) });
}

export function refused(c: Context, status: 400 | 413, code: string, message: string): Response {
  return c.json({ code, message, outcome: 'notApplied' }, status);
}
