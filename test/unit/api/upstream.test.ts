import type { ActiveUpstream } from '#api/forward.ts';
import { createApi, type Api } from '#api/index.ts';
import type { ApiEvent } from '#protocol/api-event.ts';
import type { ForwardRule } from '#protocol/other-servers.ts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createFakeHost, TEST_MODEL, type FakeHost } from '../../support/fake-host.ts';
import { jsonOf, post } from '../../support/http.ts';
import { startUpstream, type UpstreamServer } from '../../support/upstream-server.ts';

const PATH = '/sdapi/v1/txt2img';
const BODY = { prompt: 'a fox', width: 64, height: 64, steps: 1 };
/** A route whose capability is not built. */
const MISSING = '/sdapi/v1/train/embedding';
/** A checkpoint that nobody has installed here. */
const OF_ANOTHER_MODEL = { ...BODY, override_settings: { sd_model_checkpoint: 'huge' } };

let server: UpstreamServer;
let fake: FakeHost;

beforeEach(async () => {
  server = await startUpstream({ answer: () => ({ images: ['there'], parameters: {}, info: '{}' }) });
  fake = createFakeHost();
});

afterEach(() => server.close());

interface Setup {
  rule: ForwardRule;
  dialect?: string;
  key?: string | null;
  longerThan?: number;
  url?: string;
  timeoutMs?: number;
  onRequest?: (event: ApiEvent) => void;
}

/** The API with one upstream. */
function apiWith({
  rule,
  dialect = 'a1111',
  key = null,
  longerThan = 0,
  url = server.origin,
  timeoutMs,
  onRequest,
}: Setup): Api {
  const upstream: ActiveUpstream = { dialect, url, rule, longerThan, key };
  return createApi({
    connect: fake.connect,
    upstreamOf: (name) => Promise.resolve(name === dialect && rule !== 'never' ? upstream : null),
    ...(timeoutMs !== undefined && { upstreamTimeoutMs: timeoutMs }),
    ...(onRequest && { onRequest }),
  });
}

const answeredBy = (response: Response) => response.headers.get('X-Vitrine-Answered-By');
const host = () => new URL(server.origin).host;
const notesOf = (response: Response) => decodeURIComponent(response.headers.get('X-Vitrine-Notes') ?? '');

describe('never', () => {
  it('answers everything here', async () => {
    const response = await post(apiWith({ rule: 'never' }), PATH, BODY);
    expect([response.status, answeredBy(response)]).toEqual([200, 'this tab']);
    expect(server.requests).toEqual([]);
  });
});

describe('always', () => {
  it('sends a request on as it is, and answers what comes back', async () => {
    const text = '{"prompt": "a fox", "seed": 12345678901234567890,  "steps": 1}';
    const response = await apiWith({ rule: 'always' }).request(`/a1111${PATH}?x=1`, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/json',
        Accept: 'image/png',
        'X-Private': 'secret',
        Cookie: 'a=b',
      },
      body: text,
    });
    expect(await jsonOf(response)).toMatchObject({ images: ['there'] });
    expect([response.status, answeredBy(response)]).toEqual([200, host()]);
    expect(response.headers.get('X-Served-By')).toBe('upstream');
    const [sent] = server.requests;
    expect(sent).toMatchObject({ method: 'POST', path: `${PATH}?x=1`, body: text });
    expect(sent?.headers).toMatchObject({ accept: 'image/png', 'content-type': 'application/json' });
    expect(sent?.headers).not.toHaveProperty('x-private');
    expect(fake.jobs).toHaveLength(0);
  });

  it('sends paths on that are unknown here, and needs no tab', async () => {
    fake.vanish();
    const response = await apiWith({ rule: 'always' }).request('/sdapi/v1/of-an-extension');
    expect([response.status, answeredBy(response)]).toEqual([200, host()]);
    expect(server.requests[0]?.path).toBe('/sdapi/v1/of-an-extension');
  });

  it('leaves the other dialects to this tab', async () => {
    const response = await post(apiWith({ rule: 'always' }), '/txt2img', { prompt: 'x' });
    expect([response.status, answeredBy(response)]).toEqual([200, 'this tab']);
  });

  it("passes on the server's refusals, with Retry-After", async () => {
    server.behave('busy');
    const response = await post(apiWith({ rule: 'always' }), PATH, BODY);
    expect([response.status, response.headers.get('Retry-After')]).toEqual([429, '7']);
    expect(await jsonOf(response)).toEqual({ detail: 'Too many requests' });
    server.behave('broken');
    expect((await post(apiWith({ rule: 'always' }), PATH, BODY)).status).toBe(500);
  });

  it('passes on broken JSON, and breaks off where the server does', async () => {
    server.behave('broken JSON');
    const broken = await post(apiWith({ rule: 'always' }), PATH, BODY);
    await expect(broken.json()).rejects.toThrow(SyntaxError);
    server.behave('cut off');
    const cut = await post(apiWith({ rule: 'always' }), PATH, BODY);
    await expect(cut.text()).rejects.toThrow();
    expect(server.requests).toHaveLength(2);
  });

  it('streams: the answer begins before it is complete', async () => {
    server.behave('cut off');
    const response = await post(apiWith({ rule: 'always' }), PATH, BODY);
    const reader = response.body?.getReader();
    expect(new TextDecoder().decode((await reader?.read())?.value)).toBe('{"i');
  });

  it.each([
    ['dropped', 502, /^The server 127\.0\.0\.1:\d+ (cannot be reached|broke off)/],
    ['redirect', 502, /redirects to another address\. Enter that address in Settings/],
    ['slow', 504, /has not begun to answer within 0\.05 s/],
  ] as const)('says why there is no answer: %s', async (manner, status, said) => {
    server.behave(manner);
    const hurry = manner === 'slow' ? { timeoutMs: 50 } : {};
    const response = await post(apiWith({ rule: 'always', ...hurry }), PATH, BODY);
    expect([response.status, answeredBy(response)]).toEqual([status, 'this tab']);
    const { detail } = await jsonOf<{ detail: string }>(response);
    expect(detail).toMatch(said);
    server.release();
  });

  it('says what a server that is not there has to be started with', async () => {
    await server.close();
    const response = await post(apiWith({ rule: 'always' }), PATH, BODY);
    expect(response.status).toBe(502);
    expect(JSON.stringify(await jsonOf(response))).toMatch(
      /cannot be reached.*--api --cors-allow-origins=http:\/\/localhost/,
    );
  });

  it('words its failures in each dialect', async () => {
    await server.close();
    const ask = (dialect: string, path: string) =>
      post(apiWith({ rule: 'always', dialect }), path, { prompt: 'x' });
    expect(await jsonOf(ask('fooocus', '/v1/generation/text-to-image'))).toHaveProperty('detail');
    expect(await jsonOf(ask('modelslab', '/api/v6/images/text2img'))).toHaveProperty('status', 'error');
    expect(await jsonOf(ask('itsrose', '/sdapi/txt2img'))).toHaveProperty('status', false);
    expect(await jsonOf(ask('sdcn', '/txt2img'))).toHaveProperty('msg');
  });

  it('does not send a request on that has been sent on before', async () => {
    const first = apiWith({ rule: 'always' });
    await post(first, PATH, BODY);
    const [sent] = server.requests;
    const again = await post(apiWith({ rule: 'always' }), PATH, BODY, {
      headers: {
        'Content-Type': 'application/json',
        'Accept-Language': String(sent?.headers['accept-language']),
      },
    });
    expect(answeredBy(again)).toBe('this tab');
    expect(server.requests).toHaveLength(1);
  });

  it('keeps a request here that names where its jobs run', async () => {
    const headers = { 'Content-Type': 'application/json', 'X-Vitrine-Backend': 'local' };
    expect(answeredBy(await post(apiWith({ rule: 'always' }), PATH, BODY, { headers }))).toBe('this tab');
    expect(server.requests).toEqual([]);
  });

  it('ends the request to the server when the client goes', async () => {
    server.behave('slow');
    const client = new AbortController();
    const api = apiWith({ rule: 'always' });
    const answer = api.fetch(
      new Request(`http://localhost${PATH}`, { method: 'POST', body: '{}', signal: client.signal }),
    );
    await expect.poll(() => server.requests.length).toBe(1);
    client.abort();
    expect((await answer).status).toBe(499);
    server.release();
  });

  it('reports who answers', async () => {
    const events: ApiEvent[] = [];
    await post(apiWith({ rule: 'always', onRequest: (event) => events.push(event) }), PATH, BODY);
    expect(events).toMatchObject([
      { phase: 'start', dialect: 'a1111', requestBytes: JSON.stringify(BODY).length },
      { phase: 'end', status: 200, answeredBy: host() },
    ]);
  });
});

describe('keys', () => {
  it.each([
    ['a1111', PATH, 'user:pass', { authorization: `Basic ${btoa('user:pass')}` }],
    ['fooocus', '/v1/generation/text-to-image', 'k', { 'x-api-key': 'k' }],
    ['itsrose', '/sdapi/txt2img', 'k', { authorization: 'Bearer k' }],
  ] as const)('go where %s reads them, and nowhere else', async (dialect, path, key, headers) => {
    const response = await post(apiWith({ rule: 'always', dialect, key }), path, { prompt: 'x' });
    expect(server.requests[0]?.headers).toMatchObject(headers);
    expect(server.requests[0]?.path).toBe(path);
    expect(JSON.stringify([...response.headers]) + (await response.text())).not.toContain(
      key === 'k' ? '"k"' : key,
    );
  });

  it("replaces the key in a ModelsLab body, and keeps a long seed's digits", async () => {
    const api = apiWith({ rule: 'always', dialect: 'modelslab', key: 'real' });
    await api.request('/api/v6/images/text2img', {
      method: 'POST',
      body: '{"key":"test","prompt":"x","seed":12345678901234567890}',
    });
    expect(server.requests[0]?.body).toBe('{"key":"real","prompt":"x","seed":12345678901234567890}');
  });

  it("leaves the client's own where none is kept", async () => {
    await post(apiWith({ rule: 'always', dialect: 'itsrose' }), '/sdapi/txt2img', BODY, {
      headers: { Authorization: 'Bearer mine' },
    });
    expect(server.requests[0]?.headers['authorization']).toBe('Bearer mine');
  });

  it('are not in the words of a refusal', async () => {
    server.behave('wrong key');
    const response = await post(apiWith({ rule: 'cannot', key: 'user:pass' }), PATH, OF_ANOTHER_MODEL);
    expect(notesOf(response)).toMatch(/refused the request \(401\)\. Check its user:password in Settings/);
    expect(notesOf(response)).not.toContain('user:pass ');
  });
});

describe('when this tab cannot', () => {
  it('answers here what can be', async () => {
    const response = await post(apiWith({ rule: 'cannot' }), PATH, BODY);
    expect([response.status, answeredBy(response)]).toEqual([200, 'this tab']);
    expect(server.requests).toEqual([]);
  });

  it.each([
    ['a model that is not installed', PATH, OF_ANOTHER_MODEL],
    ['a capability that is missing', MISSING, {}],
    ['a path that is unknown here', '/sdapi/v1/of-an-extension', {}],
  ] as const)('sends on %s', async (_, path, body) => {
    const response = await post(apiWith({ rule: 'cannot' }), path, body);
    expect([response.status, answeredBy(response)]).toEqual([200, host()]);
    expect(server.requests).toMatchObject([{ method: 'POST', path, body: JSON.stringify(body) }]);
    expect(fake.jobs).toHaveLength(0);
  });

  it('generates with what is here, as the original does, when the server has not got the model either', async () => {
    server.behave('broken');
    const response = await post(apiWith({ rule: 'cannot' }), PATH, OF_ANOTHER_MODEL);
    expect([response.status, answeredBy(response)]).toEqual([200, 'this tab']);
    expect(response.headers.get('X-Ignored-Parameters')).toContain('override_settings.sd_model_checkpoint');
    expect(fake.jobs).toHaveLength(1);
  });

  it('sends on when no tab hosts the engine', async () => {
    fake.vanish();
    const response = await post(apiWith({ rule: 'cannot' }), PATH, BODY);
    expect([response.status, answeredBy(response)]).toEqual([200, host()]);
  });

  it('sends a form on byte by byte', async () => {
    fake.vanish();
    const form = new FormData();
    form.set('uov_method', 'Upscale (2x)');
    form.set('input_image', new Blob([new Uint8Array([1, 2, 3])], { type: 'image/png' }), 'a.png');
    const request = new Request('http://localhost/v1/generation/image-upscale-vary', {
      method: 'POST',
      body: form,
    });
    const sent = await request.clone().text();
    await apiWith({ rule: 'cannot', dialect: 'fooocus' }).fetch(request);
    expect(server.requests[0]?.body).toBe(sent);
    expect(server.requests[0]?.headers['content-type']).toBe(request.headers.get('Content-Type'));
  });

  it('asks the server for a job that is unknown here', async () => {
    const api = apiWith({ rule: 'cannot', dialect: 'fooocus' });
    const response = await api.request('/v1/generation/query-job?job_id=of-the-server');
    expect(answeredBy(response)).toBe(host());
    expect(server.requests[0]?.path).toBe('/v1/generation/query-job?job_id=of-the-server');
  });

  it('refuses a wrong request itself', async () => {
    const response = await post(apiWith({ rule: 'cannot' }), PATH, { ...BODY, steps: 'many' });
    expect([response.status, answeredBy(response)]).toEqual([422, 'this tab']);
    expect(server.requests).toEqual([]);
  });

  it.each(['broken', 'busy', 'wrong key', 'unknown path', 'dropped', 'redirect', 'slow'] as const)(
    "answers with this tab's own error when the server cannot either: %s",
    async (manner) => {
      server.behave(manner);
      const api = apiWith({ rule: 'cannot', ...(manner === 'slow' && { timeoutMs: 100 }) });
      const response = await post(api, MISSING, {});
      const alone = await post(apiWith({ rule: 'never' }), MISSING, {});
      expect([response.status, answeredBy(response)]).toEqual([alone.status, 'this tab']);
      expect(await response.text()).toBe(await alone.text());
      expect(notesOf(response)).toContain(host());
      server.release();
    },
  );
});

describe('when the queue is long', () => {
  it('sends on what would wait behind more jobs than that', async () => {
    fake = createFakeHost({ stepMs: 50 });
    const api = apiWith({ rule: 'queue', longerThan: 1 });
    const here = [1, 2].map((seed) => post(api, PATH, { ...BODY, steps: 40, seed }));
    await expect.poll(async () => (await fake.host.unfinishedJobs()).length).toBe(2);
    const third = await post(api, PATH, BODY);
    expect(answeredBy(third)).toBe(host());
    for (const { id } of await fake.host.unfinishedJobs()) await fake.host.cancel(id);
    expect((await Promise.all(here)).map(answeredBy)).toEqual(['this tab', 'this tab']);
    expect(server.requests).toHaveLength(1);
  });

  it('takes its place in the queue when the server cannot', async () => {
    fake = createFakeHost({ stepMs: 5 });
    server.behave('broken');
    const api = apiWith({ rule: 'queue', longerThan: 0 });
    const first = post(api, PATH, { ...BODY, steps: 20, seed: 1 });
    await expect.poll(async () => (await fake.host.unfinishedJobs()).length).toBe(1);
    const second = await post(api, PATH, { ...BODY, seed: 2 });
    expect([second.status, answeredBy(second)]).toEqual([200, 'this tab']);
    expect(notesOf(second)).toContain('answered 500');
    expect((await first).status).toBe(200);
    expect(fake.jobs).toHaveLength(2);
  });

  it('lists and other questions are answered here', async () => {
    const response = await apiWith({ rule: 'queue' }).request('/sdapi/v1/samplers');
    expect(answeredBy(response)).toBe('this tab');
  });
});

it('200 jobs over three servers and this tab, with faults: each is answered once, by one of them', async () => {
  const JOBS = 200;
  const routes = [
    ['a1111', PATH, (prompt: string) => ({ images: [prompt] })],
    ['fooocus', '/v1/generation/text-to-image', (prompt: string) => [{ seed: prompt }]],
    ['sdcn', '/txt2img', (prompt: string) => ({ images: [prompt] })],
  ] as const;
  const faults = ['well', 'broken', 'well', 'busy', 'dropped', 'well', 'redirect', 'well'] as const;
  const servers = await Promise.all(
    routes.map(async ([, , answer]) => {
      let asked = 0;
      const started = await startUpstream({
        answer: ({ body }) =>
          answer((JSON.parse(body === '' ? '{}' : body) as { prompt?: string }).prompt ?? ''),
      });
      started.behave(() => faults[asked++ % faults.length] ?? 'well');
      return started;
    }),
  );
  fake = createFakeHost({ models: [{ ...TEST_MODEL }], stepMs: 1 });
  const upstreams = new Map(
    routes.map(([dialect], index) => [
      dialect as string,
      {
        dialect,
        url: servers[index]?.origin ?? '',
        rule: 'queue',
        longerThan: 2,
        key: null,
      } satisfies ActiveUpstream,
    ]),
  );
  const api = createApi({
    connect: fake.connect,
    upstreamOf: (dialect) => Promise.resolve(upstreams.get(dialect) ?? null),
  });
  const answers: { prompt: string; status: number; by: string | null; text: string }[] = [];
  let next = 0;
  const client = async () => {
    while (next < JOBS) {
      const index = next++;
      const [dialect, path] = routes[index % routes.length] ?? routes[0];
      const prompt = `job ${index}`;
      const size = dialect === 'fooocus' ? { aspect_ratios_selection: '64*64', style_selections: [] } : BODY;
      const response = await post(api, path, { ...size, prompt });
      answers.push({
        prompt,
        status: response.status,
        by: answeredBy(response),
        text: await response.text(),
      });
    }
  };
  await Promise.all(Array.from({ length: 16 }, client));
  expect(answers).toHaveLength(JOBS);
  expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
  const there = answers.filter(({ by }) => by !== 'this tab');
  const answeredThere = servers.flatMap(({ answered }) => answered);
  expect([...answeredThere].sort()).toEqual(there.map(({ prompt }) => prompt).sort());
  for (const { prompt, text } of there) expect(text).toContain(prompt);
  const records = await fake.host.jobs();
  const ranHere = records.filter(({ stage }) => stage === 'done').length;
  expect(ranHere).toBe(JOBS - there.length);
  expect(there.length).toBeGreaterThan(0);
  expect(ranHere).toBeGreaterThan(0);
  await Promise.all(servers.map((started) => started.close()));
});
