import { transferHandlers } from 'comlink';
import { AppError, toAppError, type ErrorData } from './error.ts';

/**
 * Makes errors cross comlink with their code. Comlink keeps only name, message and stack; every thread that
 * exposes or wraps something calls this first.
 */
export function carryErrorCodes(): void {
  const original = transferHandlers.get('throw');
  if (!original) throw new AppError('internal', 'Comlink has no transfer handler for thrown values.');
  transferHandlers.set('throw', {
    canHandle: (value): value is { value: unknown } => original.canHandle(value),
    serialize: (thrown: { value: unknown }) => [toAppError(thrown.value).toData(), []],
    deserialize(data: ErrorData): never {
      throw AppError.fromData(data);
    },
  });
}
