import { dialects } from '#api/dialects/index.ts';
import { forward, type Service } from '#api/forward.ts';
import { expect, it } from 'vitest';

const [a1111] = dialects.flatMap(({ name, service }) => (name === 'a1111' && service ? [service] : []));

/** What is said when a page cannot reach a server. */
async function said(url: string, origin: string, service: Service | undefined = a1111): Promise<string> {
  if (!service) throw new Error('A1111 has no servers.');
  const request = {
    method: 'POST',
    path: '/sdapi/v1/txt2img',
    headers: new Headers(),
    body: new TextEncoder().encode('{}'),
    signal: new AbortController().signal,
    timeoutMs: 20_000,
    origin,
  };
  const upstream = { dialect: 'a1111', url, rule: 'always', longerThan: 0, key: 'user:secret' } as const;
  return forward(upstream, service, request).then(
    () => 'nothing',
    (error: unknown) => String(error),
  );
}

it('says that a page served over https cannot reach a server without TLS', async () => {
  expect(await said('http://gpu.invalid:7860', 'https://vitrine.example')).toMatch(
    /gpu\.invalid:7860 has no TLS.*Give it a certificate.*or open Vitrine from http:\/\/localhost/,
  );
});

it('but this machine it may', async () => {
  const words = await said('http://localhost:9', 'https://vitrine.example');
  expect(words).not.toContain('TLS');
  expect(words).toMatch(/Start it with --api --cors-allow-origins=https:\/\/vitrine\.example/);
});

it('says that a server of the local network needs a permission, where the page is of the internet', async () => {
  expect(await said('http://localhost:9', 'https://vitrine.example')).toMatch(
    /allow this site to reach local devices/,
  );
  expect(await said('http://localhost:9', 'http://localhost:4173')).not.toContain('local devices');
});

it('never says the key', async () => {
  expect(await said('http://localhost:9', 'http://localhost:4173')).not.toContain('secret');
});
