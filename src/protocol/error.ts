/**
 * Every failure has one of these codes; `api/` maps a code to an HTTP status in one table and each dialect
 * words it in its own shape.
 */
export const ERROR_CODES = [
  'invalid_request',
  'not_found',
  'unauthorized',
  'no_engine_tab',
  'protocol_mismatch',
  'queue_full',
  'model_not_found',
  'download_failed',
  'remote_failed',
  'integrity_failed',
  'unsupported_feature',
  'device_lost',
  'out_of_memory',
  'not_a_number',
  'engine_crashed',
  'storage_full',
  'cancelled',
  'internal',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** A failure as plain data: what is stored in job records and posted between threads. */
export interface ErrorData {
  code: ErrorCode;
  message: string;
  /** Facts for the code that handles the error (a file name, a limit), never needed to understand the message. */
  detail?: Readonly<Record<string, string | number | boolean>>;
}

/** The one class of error. `message` is a sentence for people: what is wrong and, where known, the way out. */
export class AppError extends Error {
  override readonly name = 'AppError';
  readonly code: ErrorCode;
  readonly detail: ErrorData['detail'];

  constructor(
    code: ErrorCode,
    message: string,
    options: { detail?: ErrorData['detail']; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.code = code;
    this.detail = options.detail;
  }

  /** The error as plain data. */
  toData(): ErrorData {
    return { code: this.code, message: this.message, ...(this.detail && { detail: this.detail }) };
  }

  /** The error again, from {@link ErrorData}. */
  static fromData(data: ErrorData): AppError {
    return new AppError(data.code, data.message, data.detail ? { detail: data.detail } : {});
  }
}

/** What browsers say in other errors when the disk, not the quota, is full. */
const FULL_DISK = /full disk|no space left|disk (?:is )?full|quota(?: has been)? exceeded/i;

/** Any thrown value as an {@link AppError}; what is not one already becomes `internal`. */
export function toAppError(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown;
  const name = thrown instanceof Error ? thrown.name : '';
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  if (name === 'QuotaExceededError' || FULL_DISK.test(message)) {
    return new AppError(
      'storage_full',
      'The browser has no storage left for this site. Remove a model or images.',
      {
        cause: thrown,
      },
    );
  }
  if (name === 'AbortError') return new AppError('cancelled', 'Cancelled.', { cause: thrown });
  return new AppError('internal', message || 'Unknown error', { cause: thrown });
}
