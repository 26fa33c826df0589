import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { decodePng } from '#codecs/png.ts';
import { AppError } from '#protocol/error.ts';
import { EXAMPLE, bytesOf, type Json, postExample, TEXT_TO_IMAGE } from '../../../../support/fooocus.ts';
import { createFakeHost } from '../../../../support/fake-host.ts';
import { jsonOf, post } from '../../../../support/http.ts';
import { waitFor } from '../../../../support/wait-for.ts';

describe('PNG bytes as the answer', () => {
  it.each([
    [TEXT_TO_IMAGE, { Accept: 'image/png' }],
    [`${TEXT_TO_IMAGE}?accept=image/png`, {}],
  ])('%s %o', async (path, headers) => {
    const host = createFakeHost();
    const response = await post(
      createApi(host),
      path,
      { ...EXAMPLE, image_number: 4 },
      { headers: { 'Content-Type': 'application/json', ...headers } },
    );
    expect(response.headers.get('Content-Type')).toBe('image/png');
    expect(decodePng(await bytesOf(response)).width).toBe(256);
    expect(host.jobs[0]?.images).toHaveLength(1);
  });

  it('is not for a list of types', async () => {
    const response = await postExample(
      createApi(createFakeHost()),
      {},
      {
        Accept: 'image/png, */*',
      },
    );
    expect(response.headers.get('Content-Type')).toBe('application/json');
  });

  it('answers a failure with 500 ERROR', async () => {
    const host = createFakeHost({ failure: new AppError('device_lost', 'The GPU was lost.') });
    const response = await postExample(createApi(host), {}, { Accept: 'image/png' });
    expect([response.status, await response.text()]).toEqual([500, 'ERROR']);
  });

  it('answers a job that was stopped with 400 USER_CANCEL', async () => {
    const host = createFakeHost({ stepMs: 5 });
    const api = createApi(host);
    const answer = postExample(api, {}, { Accept: 'image/png' });
    await waitFor(() => expect(host.jobs).toHaveLength(1));
    await post(api, '/v1/generation/stop');
    const response = await answer;
    expect([response.status, await response.text()]).toEqual([400, 'USER_CANCEL']);
  });

  it('gives way to async_process', async () => {
    const api = createApi(createFakeHost());
    const response = await postExample(api, { async_process: true }, { Accept: 'image/png' });
    expect(await jsonOf<Json>(response)).toMatchObject({ job_stage: expect.any(String) as string });
  });
});
