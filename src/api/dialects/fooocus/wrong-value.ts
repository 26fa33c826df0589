import { fastApi2 } from '#api/fastapi.ts';
import type { Rendered } from '#api/route.ts';
import { AppError } from '#protocol/error.ts';

/**
 * The refusal of a parameter's value that no schema can see, such as an image that is damaged; it is answered as a schema's own
 * refusals are.
 * @param field names and indices with dots between them
 */
export function wrongValue(field: string, message: string, cause?: unknown): AppError {
  return new AppError('invalid_request', message, { detail: { wrongValue: field }, cause });
}

/** What was thrown while a parameter was looked at: what is said of the request is said of the parameter. */
export function refusalOf(field: string, thrown: unknown): unknown {
  const isRefusal = thrown instanceof AppError && thrown.code === 'invalid_request';
  return isRefusal ? wrongValue(field, thrown.message, thrown) : thrown;
}

/** The answer to an error of {@link wrongValue}; undefined for any other. */
export function renderWrongValue({ detail, message }: AppError): Rendered | undefined {
  const field = detail?.['wrongValue'];
  if (typeof field !== 'string') return undefined;
  const path = field.split('.').map((part) => (/^\d+$/.test(part) ? Number(part) : part));
  const invalid = {
    in: 'body',
    path,
    rule: `Value error, ${message}`,
    input: null,
    requirement: undefined,
  } as const;
  return fastApi2.renderInvalid([invalid], null);
}
