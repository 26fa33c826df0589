import { expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { createFakeHost } from '../../../../support/fake-host.ts';
import { jsonOf, post } from '../../../../support/http.ts';

const notFound = [404, { detail: 'Not Found' }];

it.each([
  '/sdapi/v1/nothing',
  '/sd_extra_networks/thumb?filename=x',
  '/sd_extra_networks/metadata?page=lora&item=x',
  // What clients ask for to see which extensions there are, and the original's page.
  '/tagger/v1/interrogators',
  '/adetailer/v1/version',
  '/rembg',
  '/sam/heartbeat',
  '/agent-scheduler/v1/queue',
  '/startup-events',
  '/config',
  '/queue/join',
])('GET %s is not there, and says so in JSON', async (path) => {
  const api = createApi(createFakeHost());
  expect(api.ownsPath(path.replace(/\?.*/, ''))).toBe(true);
  const response = await api.request(path);
  expect([response.status, await response.json()]).toEqual(notFound);
});

it.each(['/sdapi/v1/server-stop', '/tagger/v1/interrogate', '/rembg', '/run/predict'])(
  'POST %s is not there either',
  async (path) => {
    const response = await post(createApi(createFakeHost()), path, {});
    expect([response.status, await jsonOf(response)]).toEqual(notFound);
  },
);

it('leaves the app its own paths', () => {
  const api = createApi(createFakeHost());
  for (const path of ['/', '/index.html', '/assets/config.js', '/models/emoji-mini/tokenizer.json'])
    expect(api.ownsPath(path)).toBe(false);
});
