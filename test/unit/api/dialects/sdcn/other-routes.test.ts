import { expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { createFakeHost } from '../../../../support/fake-host.ts';
import { jsonOf, post } from '../../../../support/http.ts';

it('says what describing an image lacks, in its field', async () => {
  const api = createApi(createFakeHost());
  const unknown = await post(api, '/interrogate', { image: 'x', model: 'blip9' });
  expect([unknown.status, await jsonOf(unknown)]).toEqual([404, { detail: 'Model not found' }]);
  const interrogate = await post(api, '/interrogate', { image: 'x', model: 'clip' });
  expect([interrogate.status, await jsonOf(interrogate)]).toEqual([
    400,
    { detail: expect.stringContaining('a model that describes images') as string },
  ]);
});
