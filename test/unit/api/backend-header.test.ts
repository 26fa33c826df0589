import { createApi } from '#api/index.ts';
import { decodePng } from '#codecs/png.ts';
import { fromBase64 } from '#codecs/base64.ts';
import { expect, it } from 'vitest';
import { colourOf, createFakeHost } from '../../support/fake-host.ts';
import { serveHorde, startHorde } from '../../support/horde-server.ts';
import { jsonOf, post } from '../../support/http.ts';

const PATH = '/sdapi/v1/txt2img';
const body = { prompt: 'a red apple', width: 64, height: 64, steps: 4, seed: 7, sampler_name: 'Euler a' };
const json = (backend: string) => ({
  headers: { 'Content-Type': 'application/json', 'X-Vitrine-Backend': backend },
  body: JSON.stringify(body),
});

async function firstPixel(response: Response): Promise<number[]> {
  const [image = ''] = (await jsonOf<{ images: string[] }>(response)).images;
  return [...decodePng(fromBase64(image)).data.subarray(0, 3)];
}

it('lets a client choose where its job runs', async () => {
  const horde = await serveHorde();
  const host = createFakeHost({
    settings: { 'horde.allowed': true },
    startHorde: () => startHorde(horde.address),
  });
  const api = createApi(host);
  const there = await post(api, PATH, undefined, json('horde'));
  expect(there.status).toBe(200);
  expect(there.headers.get('X-Vitrine-Notes')).toContain(encodeURIComponent('instead of “emoji-mini”'));
  expect(await firstPixel(there)).toEqual(colourOf(7n));
  expect(horde.requests.map(({ payload }) => payload.prompt)).toEqual(['a red apple']);
  expect(host.jobs).toHaveLength(0);

  expect((await post(api, PATH, undefined, json('local'))).status).toBe(200);
  expect(host.jobs).toHaveLength(1);
  // Without the header the setting decides.
  await host.host.updateSettings({ 'app.runs_on': 'horde' });
  expect((await post(api, PATH, body)).status).toBe(200);
  expect(horde.requests).toHaveLength(2);
  expect(host.jobs).toHaveLength(1);
  await horde.close();
});

it('sends nothing to a service that the user has not turned on', async () => {
  const host = createFakeHost();
  const response = await post(createApi(host), PATH, undefined, json('horde'));
  expect(response.status).toBe(422);
  expect(JSON.stringify(await jsonOf(response))).toContain('Turn it on in Settings');
});

it('lets no client agree in the user’s place', async () => {
  const host = createFakeHost();
  const api = createApi(host);
  const consent = { 'horde.allowed': true, 'app.runs_on': 'horde' };
  await post(api, '/sdapi/v1/options', consent);
  await post(api, PATH, { ...body, override_settings: consent, override_settings_restore_afterwards: false });
  expect(await host.host.settings()).not.toHaveProperty(['horde.allowed']);
  expect(await host.host.settings()).not.toHaveProperty(['app.runs_on']);
});

it('refuses a backend that does not exist, in the words of the API', async () => {
  const response = await post(createApi(createFakeHost()), PATH, undefined, json('cloud'));
  expect(response.status).toBe(400);
  expect(JSON.stringify(await jsonOf(response))).toContain('“cloud” is not one of local, horde, any');
});
