import { describe, expect, it } from 'vitest';
import { Validator } from '@seriousme/openapi-schema-validator';
import { dialects } from '#api/dialects/index.ts';
import type { ApiHost, Connect } from '#api/connection.ts';
import { createApi, type Api } from '#api/index.ts';
import type { ApiEvent } from '#protocol/api-event.ts';
import { AppError } from '#protocol/error.ts';
import { noteNoEffect } from '#protocol/notes.ts';
import { createFakeHost, TEST_MODEL } from '../../support/fake-host.ts';
import { jsonOf, post } from '../../support/http.ts';

/** For each dialect: its text-to-image route, a request that generates, and where its errors say what is wrong. */
const CASES = {
  a1111: {
    path: '/sdapi/v1/txt2img',
    body: { prompt: 'x', width: 64, height: 64, steps: 4 },
    wrong: { steps: 'many' },
    said: /"detail":\[\{"loc"/,
  },
  fooocus: {
    path: '/v1/generation/text-to-image',
    body: { prompt: 'x', aspect_ratios_selection: '704*1408', performance_selection: 'Lightning' },
    wrong: { image_number: 'many' },
    said: /detail/,
  },
  itsrose: {
    path: '/sdapi/txt2img',
    body: {
      model_id: 'emoji-mini',
      prompt: 'x',
      width: 64,
      height: 64,
      num_inference_steps: 5,
      scheduler: 'DDIMScheduler',
    },
    wrong: { width: 5000 },
    said: /"status":false/,
  },
  modelslab: {
    path: '/api/v1/enterprise/text2img',
    body: {
      key: 'k',
      model_id: 'emoji-mini',
      prompt: 'x',
      width: 256,
      height: 256,
      num_inference_steps: '21',
      scheduler: 'DDIMScheduler',
    },
    wrong: { width: 5000 },
    said: /"status":"error"/,
  },
  sdcn: {
    path: '/txt2img',
    body: { prompt: 'x', width: 64, height: 64, steps: 20 },
    wrong: { model: 'nowhere' },
    said: /"msg"/,
  },
} as const;

describe.each(Object.entries(CASES))('%s', (name, { path, body, wrong, said }) => {
  const dialect = dialects.find((candidate) => candidate.name === name);

  it('owns its paths, with and without a slash at the end, and under its prefix', async () => {
    const api = createApi(createFakeHost());
    for (const mounted of [path, `${path}/`, `${dialect?.prefix ?? ''}${path}`]) {
      expect(api.ownsPath(mounted)).toBe(true);
      expect((await post(api, mounted, body)).status).toBe(200);
    }
    expect(api.ownsPath('/')).toBe(false);
    expect(api.ownsPath('/assets/index.js')).toBe(false);
  });

  it('works below the folder that the app is served from', async () => {
    const api = createApi({ ...createFakeHost(), base: '/some/folder/' });
    expect(api.ownsPath(`/some/folder${path}`)).toBe(true);
    expect((await post(api, `/some/folder${path}`, body)).status).toBe(200);
  });

  it('refuses a wrong body in its own words, before any work', async () => {
    const fake = createFakeHost();
    const response = await post(createApi(fake), path, { ...body, ...wrong });
    expect(response.status).toBeGreaterThanOrEqual(400);
    expect(response.status).toBeLessThan(500);
    expect(await response.text()).toMatch(said);
    expect(fake.jobs).toEqual([]);
  });

  it('refuses malformed JSON', async () => {
    const response = await createApi(createFakeHost()).request(path, { method: 'POST', body: '{"prompt": ' });
    expect(response.status).toBeGreaterThanOrEqual(400);
    expect(response.status).toBeLessThan(500);
    expect(response.headers.get('Content-Type')).toBe('application/json');
  });

  it('reads JSON that is sent without a type', async () => {
    const bytes = new TextEncoder().encode(JSON.stringify(body));
    const response = await createApi(createFakeHost()).request(path, { method: 'POST', body: bytes });
    expect(response.status).toBe(200);
  });

  it('says which tab to open when there is none', async () => {
    const fake = createFakeHost();
    fake.vanish();
    const response = await post(createApi(fake), path, body);
    expect(response.status).toBe(503);
    expect(await response.text()).toContain('open http://localhost/ in a tab and keep it open');
  });

  it('answers OPTIONS, other methods and unknown paths as a server does', async () => {
    const api = createApi(createFakeHost());
    const permitted = await api.request(path, { method: 'OPTIONS' });
    expect(permitted.status).toBe(204);
    expect(permitted.headers.get('Access-Control-Allow-Origin')).toBe('*');
    expect(permitted.headers.get('Access-Control-Allow-Methods')).toContain('POST');
    const wrongMethod = await api.request(path, { method: 'GET' });
    expect(wrongMethod.status).toBe(405);
    expect(wrongMethod.headers.get('Allow')).toBe('POST');
    expect((await api.request(path, { method: 'HEAD' })).status).toBe(405);
    const unknown = await api.request(`${dialect?.prefix ?? ''}/nothing/here`);
    expect(unknown.status).toBe(404);
    expect(unknown.headers.get('Content-Type')).toBe('application/json');
  });

  it('cancels the job when the client goes', async () => {
    const fake = createFakeHost({ stepMs: 20 });
    const leaving = new AbortController();
    const answer = post(createApi(fake), path, body, { signal: leaving.signal });
    await expect.poll(async () => (await fake.host.jobs())[0]?.stage).toBe('running');
    leaving.abort();
    await expect.poll(async () => (await fake.host.jobs())[0]?.stage).toBe('cancelled');
    await answer;
  });

  it('answers from the next tab when the first one dies', async () => {
    const fake = createFakeHost({ stepMs: 20 });
    const answer = post(createApi(fake), path, body);
    await expect.poll(async () => (await fake.host.jobs())[0]?.stage).toBe('running');
    fake.close();
    expect((await answer).status).toBe(200);
    expect(fake.jobs).toHaveLength(2);
    expect(fake.jobs[1]).toEqual(fake.jobs[0]);
  });

  it('generates once for a fetch that is started again because its service worker was killed', async () => {
    const fake = createFakeHost({ stepMs: 20 });
    const first = post(createApi(fake), path, body);
    await expect.poll(async () => (await fake.host.jobs())[0]?.stage).toBe('running');
    const restarted = createApi(fake);
    const answer = await (await post(restarted, path, body)).text();
    expect(fake.jobs).toHaveLength(1);
    expect(imagesIn(answer)).toEqual(imagesIn(await (await first).text()));
    // It is answered: a client that asks for the same again wants another image.
    await post(restarted, path, body);
    await post(createApi(fake), path, body);
    expect(fake.jobs).toHaveLength(3);
  });

  it('begins its answer in time and ends it when the image is there', async () => {
    const api = createApi({ ...createFakeHost({ stepMs: 10 }), lateAfterMs: 15, lateEveryMs: 5 });
    const response = await post(api, path, body);
    expect(response.status).toBe(200);
    const text = await response.text();
    expect(text).toMatch(/^ +[[{]/);
    const inTime = await (await post(createApi(createFakeHost()), path, body)).text();
    expect(shapeOf(JSON.parse(text))).toEqual(shapeOf(JSON.parse(inTime)));
  });

  it('begins its answer once its job is under way, and cancels the job when nobody reads on', async () => {
    const fake = createFakeHost({ stepMs: 20 });
    const response = await post(createApi({ ...fake, underWayAfterMs: 20 }), path, body);
    expect(response.status).toBe(200);
    expect((await fake.host.jobs())[0]?.stage).toBe('running');
    await response.body?.cancel();
    await expect.poll(async () => (await fake.host.jobs())[0]?.stage).toBe('cancelled');
  });

  it('words a failure of the engine', async () => {
    const failure = new AppError('out_of_memory', 'Not enough memory for 4096×4096.');
    const response = await post(createApi(createFakeHost({ failure })), path, body);
    const text = await response.text();
    if (name === 'fooocus') {
      // Fooocus-API tells nobody.
      expect([response.status, text]).toEqual([200, '[]']);
    } else {
      expect(response.status).toBe(500);
      expect(text).toContain('4096');
    }
  });

  it('reports each request and its answer', async () => {
    const events: ApiEvent[] = [];
    const api = createApi({ ...createFakeHost(), onRequest: (event) => events.push(event) });
    const response = await post(api, path, body);
    const bytes = (await response.arrayBuffer()).byteLength;
    expect(events).toMatchObject([
      { phase: 'start', method: 'POST', path, dialect: name, requestBytes: JSON.stringify(body).length },
      { phase: 'end', method: 'POST', path, dialect: name, status: 200, responseBytes: bytes },
    ]);
    expect(events[0]?.id).toBe(events[1]?.id);
  });

  it('names parameters without effect', async () => {
    const response = await post(createApi(createFakeHost()), path, {
      ...body,
      no_such_parameter: 1,
      größe: 2,
    });
    const named = response.headers.get('X-Ignored-Parameters')?.split(', ') ?? [];
    expect(named).toContain('no_such_parameter');
    expect(named).toContain('gr%C3%B6%C3%9Fe');
  });

  it('refuses a model that is not installed, before any work', async () => {
    const { pack } = TEST_MODEL;
    const absent = {
      ...TEST_MODEL,
      pack: { ...pack, id: 'photo', url: null },
      state: { stage: 'absent' as const },
    };
    const fake = createFakeHost({ models: [{ ...TEST_MODEL, selected: false }, absent] });
    const named = 'model_id' in body ? { ...body, model_id: 'photo' } : body;
    const response = await post(createApi(fake), path, named);
    expect(response.status).toBeGreaterThanOrEqual(400);
    expect(response.headers.get('Content-Type')).toBe('application/json');
    expect(await response.text()).toMatch(/not installed|not found|Invalid model/);
    expect(fake.jobs).toEqual([]);
  });

  it('sends what a result notes, and names LoRAs that did not fit', async () => {
    const notes = [noteNoEffect({ kind: 'tag', tag: '<lora:größe:1>' }, 'there is no such file.'), 'A, b.'];
    const response = await post(createApi(createFakeHost({ notes })), path, body);
    const sent = response.headers.get('X-Vitrine-Notes')?.split(', ').map(decodeURIComponent);
    expect(sent).toEqual(notes);
    const ignored = response.headers.get('X-Ignored-Parameters')?.split(', ').map(decodeURIComponent);
    expect(ignored).toContain('prompt.<lora:größe>');
  });

  it('has its routes below its roots, each summarised', () => {
    expect(dialect).toBeDefined();
    for (const { path: own, summary } of dialect?.routes ?? []) {
      expect(createApi(createFakeHost()).ownsPath(own)).toBe(true);
      expect(summary).not.toBe('');
    }
  });
});

/** Where an answer has its images: base64 or URLs. */
function imagesIn(answer: string): string[] {
  return answer.match(/"(iVBOR[^"]+|http[^"]+png)"/g) ?? [];
}

describe.each([
  {
    path: '/v1/generation/text-to-image',
    body: { ...CASES.fooocus.body, async_process: true },
    idOf: (answer: Record<string, unknown>) => answer['job_id'],
  },
  {
    path: '/api/v1/enterprise/text2img',
    body: CASES.modelslab.body,
    idOf: (answer: Record<string, unknown>) => answer['id'],
  },
])('an asynchronous $path', ({ path, body, idOf }) => {
  const settings = { 'modelslab.wait_seconds': 0 };
  const ask = async (api: Api) => idOf(await jsonOf<Record<string, unknown>>(post(api, path, body)));

  it('started again before it was answered finds its job, done or not', async () => {
    const fake = createFakeHost({ stepMs: 5, settings });
    const id = await ask(createApi({ connect: dyingBeforeTheAnswer(fake.connect) }));
    const again = createApi({ connect: dyingBeforeTheAnswer(fake.connect) });
    expect(await ask(again)).toBe(id);
    await expect.poll(async () => (await fake.host.jobs())[0]?.stage, { timeout: 20_000 }).toBe('done');
    expect(await ask(createApi(fake))).toBe(id);
    expect(fake.jobs).toHaveLength(1);
    expect(await ask(createApi(fake))).not.toBe(id);
  });

  it('is another job each time it was answered', async () => {
    const fake = createFakeHost({ stepMs: 5, settings });
    const ids = [];
    const api = createApi(fake);
    for (const next of [api, api, createApi(fake)]) ids.push(await ask(next));
    expect(new Set(ids).size).toBe(3);
  });
});

/** A connection whose service worker does not live to tell that a request is answered. */
function dyingBeforeTheAnswer(connect: Connect): Connect {
  return async () => {
    const connection = await connect();
    const host = new Proxy(connection.host, {
      get: (alive, name: keyof ApiHost) =>
        name === 'answered' ? () => new Promise(() => undefined) : alive[name],
    });
    return { ...connection, host };
  };
}

/** Keys and kinds of values, deep. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shapeOf);
  if (typeof value !== 'object' || value === null) return typeof value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, shapeOf(item)]));
}

it('describes what is served', async () => {
  const api = createApi(createFakeHost());
  const response = await api.request('/openapi.json');
  const description = await jsonOf<{ paths: Record<string, object> }>(response);
  const result = await new Validator().validate(structuredClone(description));
  expect(result.errors).toBeUndefined();
  expect(result.valid).toBe(true);
  const served = dialects.flatMap(({ routes }) => routes.map(({ path }) => path.replace(/:(\w+)/g, '{$1}')));
  expect(Object.keys(description.paths).sort()).toEqual([...new Set(served)].sort());
  expect(description.paths).toMatchObject({
    '/sdapi/v1/txt2img': {
      post: {
        requestBody: {
          content: {
            'application/json': {
              schema: {
                properties: {
                  steps: { anyOf: [{ type: 'integer' }, { type: 'null' }], default: 50 },
                  seed: { anyOf: [{ type: 'integer' }, { type: 'null' }], default: -1 },
                },
                required: [],
              },
            },
          },
        },
      },
    },
    '/sdapi/txt2img': {
      post: {
        'x-vitrine-status': 'ok',
        requestBody: {
          content: {
            'application/json': {
              schema: {
                properties: {
                  prompt: { type: 'string', description: 'What to generate' },
                  server_id: { description: 'Which server. No effect here: there is one server' },
                },
                required: ['model_id', 'prompt', 'scheduler'],
              },
            },
          },
        },
      },
    },
    '/sdapi/v1/train/embedding': {
      post: {
        description: 'Not available yet: needs training',
        'x-vitrine-status': { needs: 'training' },
      },
    },
    '/api/v1/enterprise/restart_server': {
      post: { description: 'Accepted without effect', 'x-vitrine-status': 'no-effect' },
    },
  });
});
