import { createApi } from '#api/index.ts';
import { UNREPORTED_HEADER, type ApiBodies } from '#protocol/api-event.ts';
import { expect, it } from 'vitest';
import { createFakeHost } from '../../support/fake-host.ts';

const REQUEST = { prompt: 'a red apple', width: 64, height: 64, steps: 2 };

function openApi() {
  const bodies: ApiBodies[] = [];
  const reported: string[] = [];
  const api = createApi({
    ...createFakeHost(),
    onRequest: ({ phase, path }) => reported.push(`${phase} ${path}`),
    onBodies: (carried) => bodies.push(carried),
  });
  return { api, bodies, reported };
}

function post(body: BodyInit, type = 'application/json'): RequestInit {
  return { method: 'POST', headers: { 'Content-Type': type }, body };
}

it('reports what a request and its answer carried, and where it would go otherwise', async () => {
  const { api, bodies } = openApi();
  const response = await api.request('/a1111/sdapi/v1/txt2img?x=1', post(JSON.stringify(REQUEST)));
  const answer = await response.text();
  await expect.poll(() => bodies.length).toBe(1);
  const [first] = bodies;
  expect(first).toMatchObject({
    target: '/sdapi/v1/txt2img?x=1',
    requestType: 'application/json',
    service: { url: 'http://127.0.0.1:7860/sdapi/v1/txt2img?x=1', keyPlace: 'basic' },
  });
  expect(await first?.request?.text()).toBe(JSON.stringify(REQUEST));
  expect(await first?.response?.text()).toBe(answer);
});

it('reports the answer to a wrong request, and that nothing was sent', async () => {
  const { api, bodies } = openApi();
  const response = await api.request('/sdapi/v1/no-such-thing');
  const answer = await response.text();
  await expect.poll(() => bodies.length).toBe(1);
  expect(bodies[0]?.request).toBeNull();
  expect(await bodies[0]?.response?.text()).toBe(answer);
});

it('keeps no body of more than eight megabytes', async () => {
  const { api, bodies } = openApi();
  // Refused, so that nothing is generated of it.
  const large = JSON.stringify({ prompt: 'x'.repeat(8_000_001), steps: 'many' });
  const response = await api.request('/sdapi/v1/txt2img', post(large));
  await response.arrayBuffer();
  await expect.poll(() => bodies.length).toBe(1);
  expect(bodies[0]?.request).toBeNull();
});

it('does not report the requests of the app itself', async () => {
  const { api, bodies, reported } = openApi();
  await api.request('/openapi.json', { headers: { [UNREPORTED_HEADER]: '1' } });
  await api.request('/openapi.json');
  await expect.poll(() => bodies.length).toBe(1);
  expect(reported).toEqual(['start /openapi.json', 'end /openapi.json']);
});
