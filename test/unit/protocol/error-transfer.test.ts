import { AppError, ERROR_CODES } from '#protocol/error.ts';
import { carryErrorCodes } from '#protocol/error-transfer.ts';
import { expose, proxy, wrap, type Remote } from 'comlink';
import { afterAll, beforeAll, expect, it } from 'vitest';

const thrower = {
  fail: (error: unknown) => {
    throw error;
  },
  async failWith(code: AppError['code'], detail?: Record<string, string | number>) {
    await Promise.resolve();
    throw new AppError(code, `It is ${code}.`, {
      ...(detail && { detail }),
      cause: new Error('not for others'),
    });
  },
  failUnnamed() {
    throw new TypeError('x is not a function');
  },
  failFull() {
    throw new DOMException('The quota has been exceeded.', 'QuotaExceededError');
  },
  call: (callback: () => unknown) => callback(),
  succeed: () => 'fine',
};

const { port1, port2 } = new MessageChannel();
let remote: Remote<typeof thrower>;

beforeAll(() => {
  carryErrorCodes();
  expose(thrower, port1);
  remote = wrap<typeof thrower>(port2);
});

afterAll(() => {
  port1.close();
  port2.close();
});

/** What a call across the channel throws. */
async function thrownBy(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => undefined,
    (error: unknown) => error,
  );
}

it.each(ERROR_CODES)('carries %s with its message and detail', async (code) => {
  const error = await thrownBy(remote.failWith(code, { file: 'unet/model.onnx', status: 404 }));
  expect(error).toBeInstanceOf(AppError);
  expect(error).toMatchObject({
    code,
    message: `It is ${code}.`,
    detail: { file: 'unet/model.onnx', status: 404 },
  });
});

it('adds no detail where there is none', async () => {
  const error = await thrownBy(remote.failWith('not_found'));
  expect(error).toMatchObject({ code: 'not_found', detail: undefined, cause: undefined });
});

it('makes internal errors of what is not ours, with the words they had', async () => {
  expect(await thrownBy(remote.failUnnamed())).toMatchObject({
    code: 'internal',
    message: 'x is not a function',
  });
  expect(await thrownBy(remote.fail('just a text'))).toMatchObject({
    code: 'internal',
    message: 'just a text',
  });
  expect(await thrownBy(remote.fail(undefined))).toBeInstanceOf(AppError);
});

it('knows full storage', async () => {
  expect(await thrownBy(remote.failFull())).toMatchObject({ code: 'storage_full' });
});

it('carries the errors of callbacks the other way', async () => {
  const callback = proxy(() => {
    throw new AppError('cancelled', 'Cancelled.');
  });
  expect(await thrownBy(remote.call(callback))).toMatchObject({ code: 'cancelled' });
});

it('leaves answers alone', async () => {
  expect(await remote.succeed()).toBe('fine');
});
