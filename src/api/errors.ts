import type { AppError, ErrorCode } from '#protocol/error.ts';

/** HTTP status of each failure, where a dialect has no other. */
export const HTTP_STATUS: Readonly<Record<ErrorCode, number>> = {
  invalid_request: 400,
  not_found: 404,
  unauthorized: 401,
  no_engine_tab: 503,
  protocol_mismatch: 503,
  queue_full: 429,
  model_not_found: 404,
  download_failed: 502,
  remote_failed: 502,
  integrity_failed: 502,
  unsupported_feature: 501,
  device_lost: 500,
  out_of_memory: 500,
  not_a_number: 500,
  engine_crashed: 500,
  storage_full: 507,
  cancelled: 499,
  internal: 500,
};

/** The status of an error: its own `detail.status`, set where a contract names one, or that of its code. */
export function httpStatus(error: AppError): number {
  const status = error.detail?.['status'];
  return typeof status === 'number' ? status : HTTP_STATUS[error.code];
}

/** Something wrong with a request's body or query, before a dialect has worded it. */
export interface Invalid {
  in: 'body' | 'query';
  path: readonly (string | number)[];
  /** The rule that was broken: a {@link Rule}, or a sentence where a schema brings its own. */
  rule: string;
  input: unknown;
  /** The bound or the allowed values. */
  requirement: unknown;
  /** Of malformed JSON: Python's words for it, and the character they speak of. */
  json?: JsonProblem;
}

export interface JsonProblem {
  message: string;
  position: number;
  text: string;
}

/** Names of the rules that the field builders of fields.ts check. */
export type Rule =
  | 'missing'
  | 'json'
  | 'object'
  | 'integer'
  | 'number'
  | 'boolean'
  | 'string'
  | 'list'
  | 'min'
  | 'above'
  | 'max'
  | 'one_of';
