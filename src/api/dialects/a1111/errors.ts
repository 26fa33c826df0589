import { httpStatus } from '#api/errors.ts';
import type { Rendered } from '#api/route.ts';
import { AppError, type ErrorCode } from '#protocol/error.ts';

/** Exceptions of the original for failures of the engine; anything else is FastAPI's `HTTPException`. */
const EXCEPTIONS: Partial<Record<ErrorCode, string>> = {
  out_of_memory: 'OutOfMemoryError',
  not_a_number: 'NansException',
  device_lost: 'RuntimeError',
  engine_crashed: 'RuntimeError',
  internal: 'RuntimeError',
  storage_full: 'OSError',
};

/**
 * What the original's API itself refuses, with the status it has there.
 * @param reason more than the original says; goes into `errors`, which it leaves empty
 */
export function httpException(status: number, detail: string, reason?: string): AppError {
  return new AppError('invalid_request', detail, {
    detail: { status, exception: 'HTTPException', ...(reason !== undefined && { reason }) },
  });
}

/** What raises a Python exception there and so ends as a 500. */
export function pythonException(exception: string, message: string): AppError {
  return new AppError('invalid_request', message, { detail: { status: 500, exception } });
}

/** Errors as A1111's handler words them: an HTTPException speaks in `detail`, others in `errors`. */
export function renderError(error: AppError): Rendered {
  const named = error.detail?.['exception'];
  const exception = typeof named === 'string' ? named : (EXCEPTIONS[error.code] ?? 'HTTPException');
  const isHttp = exception === 'HTTPException';
  const reason = error.detail?.['reason'] ?? '';
  return {
    status: error.code === 'unsupported_feature' ? 422 : httpStatus(error),
    body: {
      error: exception,
      detail: isHttp ? error.message : '',
      body: '',
      errors: isHttp ? reason : error.message,
    },
  };
}
