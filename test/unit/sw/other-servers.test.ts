import { keyOfUpstream, type ServersQuestion, type Upstream } from '#protocol/other-servers.ts';
import { openKeys } from '#storage/keys.ts';
import { openOtherServers } from '#storage/other-servers.ts';
import { createOtherServers } from '#sw/other-servers.ts';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { startUpstream, type UpstreamServer } from '../../support/upstream-server.ts';

const ORIGIN = 'http://localhost:4173';

let databases = 0;
let name: string;
let server: UpstreamServer;

beforeEach(async () => {
  name = `servers-${databases++}`;
  server = await startUpstream({ answer: () => [] });
});

afterEach(() => server.close());

/** The service worker's part, on the same storage each time: a worker that was stopped and started again. */
function open() {
  const keys = openKeys(`${name}-keys`);
  const servers = createOtherServers({ store: openOtherServers(name), keys, origin: ORIGIN });
  async function ask(question: ServersQuestion) {
    const reply = await servers.reply(question);
    if ('error' in reply) throw new Error(reply.error.message);
    return reply;
  }
  return { servers, keys, ask };
}

const upstreamOf = (changes: Partial<Upstream> = {}): Upstream => ({
  dialect: 'a1111',
  url: server.origin,
  rule: 'always',
  longerThan: 3,
  ...changes,
});

it('lists every API without a server, and the hosts that clients have built in, all off', async () => {
  const { servers } = await open().ask({ ask: 'list' });
  expect(servers.apis.map(({ upstream }) => [upstream.dialect, upstream.url, upstream.rule])).toEqual(
    ['a1111', 'fooocus', 'itsrose', 'modelslab', 'sdcn'].map((dialect) => [dialect, '', 'never']),
  );
  const hosts = servers.hosts.map(({ host }) => host);
  for (const host of ['modelslab.com', 'stablediffusionapi.com', 'api.itsrose.rest', 'api.sdcn.info'])
    expect(hosts).toContain(host);
  for (const host of ['127.0.0.1:7860', 'localhost:7860', '127.0.0.1:8888']) expect(hosts).toContain(host);
  expect(servers.hosts.every(({ on }) => !on)).toBe(true);
});

it('keeps an upstream and its key, and shows the key to nobody', async () => {
  const reply = await open().ask({ ask: 'set-upstream', upstream: upstreamOf(), key: ' user:secret ' });
  expect(reply.servers.apis[0]).toMatchObject({ hasKey: true, upstream: upstreamOf() });
  expect(JSON.stringify(reply)).not.toContain('secret');
  const { servers } = open();
  expect(await servers.upstreamOf('a1111')).toEqual({ ...upstreamOf(), key: 'user:secret' });
  expect(await servers.upstreamOf('sdcn')).toBeNull();
});

it('forgets the key of a server when another one takes its place', async () => {
  const { ask, keys } = open();
  await ask({ ask: 'set-upstream', upstream: upstreamOf(), key: 'secret' });
  await ask({ ask: 'set-upstream', upstream: upstreamOf({ url: `${server.origin}/below` }) });
  expect(await keys.get(keyOfUpstream('a1111'))).toBe('secret');
  await ask({ ask: 'set-upstream', upstream: upstreamOf({ url: 'https://example.com' }) });
  expect(await keys.get(keyOfUpstream('a1111'))).toBeUndefined();
});

it('keeps nothing of a wrong address, and of a rule without one', async () => {
  const { ask, servers } = open();
  await expect(ask({ ask: 'set-upstream', upstream: upstreamOf({ url: ORIGIN }) })).rejects.toThrow(
    /Vitrine itself/,
  );
  await expect(ask({ ask: 'set-upstream', upstream: upstreamOf({ url: '' }) })).rejects.toThrow(
    /address of the server/,
  );
  expect(await servers.upstreamOf('a1111')).toBeNull();
});

it('tests a server and its key', async () => {
  const { ask } = open();
  await ask({ ask: 'set-upstream', upstream: upstreamOf({ rule: 'never' }), key: 'user:pass' });
  expect((await ask({ ask: 'test', dialect: 'a1111' })).message).toMatch(
    /answers, and lets this page read it/,
  );
  expect(server.requests[0]).toMatchObject({ method: 'GET', path: '/sdapi/v1/samplers' });
  server.behave('wrong key');
  await expect(ask({ ask: 'test', dialect: 'a1111' })).rejects.toThrow(/\(401\)\. Check its user:password/);
  server.behave('unknown path');
  await expect(ask({ ask: 'test', dialect: 'a1111' })).rejects.toThrow(/has no \/sdapi\/v1\/samplers/);
  server.behave('redirect');
  await expect(ask({ ask: 'test', dialect: 'a1111' })).rejects.toThrow(/redirects/);
});

it('takes the error that a service answers with 200 for one', async () => {
  const refusing = await startUpstream({ answer: () => ({ status: 'error', message: 'Invalid API Key' }) });
  const { ask } = open();
  await ask({
    ask: 'set-upstream',
    upstream: upstreamOf({ dialect: 'modelslab', url: refusing.origin }),
    key: 'k',
  });
  await expect(ask({ ask: 'test', dialect: 'modelslab' })).rejects.toThrow(/says: Invalid API Key/);
  expect(refusing.requests[0]?.body).toBe('{"key":"k"}');
  await refusing.close();
});

it('knows whom to answer for: at once when it has read its settings, else soon', async () => {
  const { ask, servers } = open();
  await ask({ ask: 'set-host', host: { host: 'modelslab.com', dialect: 'modelslab', on: true } });
  await ask({ ask: 'set-host', host: { host: 'example.com:7860', dialect: 'a1111', on: true } });
  expect(servers.dialectAt('modelslab.com')).toBe('modelslab');
  expect(servers.dialectAt('example.com:7860')).toBe('a1111');
  expect(servers.dialectAt('example.com')).toBeNull();
  expect(servers.dialectAt('api.sdcn.info')).toBeNull();

  const restarted = open().servers;
  const soon = restarted.dialectAt('modelslab.com');
  expect(soon).toBeInstanceOf(Promise);
  expect(await soon).toBe('modelslab');
  expect(restarted.dialectAt('modelslab.com')).toBe('modelslab');

  await ask({ ask: 'set-host', host: { host: 'modelslab.com', dialect: 'modelslab', on: false } });
  expect(servers.dialectAt('modelslab.com')).toBeNull();
  await ask({ ask: 'remove-host', host: 'example.com:7860' });
  expect(servers.dialectAt('example.com:7860')).toBeNull();
});

it('does not answer for a host that it sends requests to', async () => {
  const { ask, servers } = open();
  const { host } = new URL(server.origin);
  await ask({ ask: 'set-host', host: { host, dialect: 'a1111', on: true } });
  expect(servers.dialectAt(host)).toBe('a1111');
  await ask({ ask: 'set-upstream', upstream: upstreamOf({ dialect: 'sdcn' }) });
  expect(servers.dialectAt(host)).toBeNull();
  await ask({ ask: 'set-upstream', upstream: upstreamOf({ dialect: 'sdcn', rule: 'never' }) });
  expect(servers.dialectAt(host)).toBe('a1111');
});
