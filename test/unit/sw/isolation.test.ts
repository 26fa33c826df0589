import { isolate } from '#sw/isolation.ts';
import { expect, it } from 'vitest';

const ISOLATION = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
  'cross-origin-resource-policy': 'same-origin',
};

it('adds the headers of cross-origin isolation and keeps the rest', async () => {
  const page = new Response('<!doctype html>', {
    status: 203,
    statusText: 'From elsewhere',
    headers: { 'Content-Type': 'text/html', ETag: '"1"' },
  });
  const isolated = isolate(page);
  expect(Object.fromEntries(isolated.headers)).toEqual({
    'content-type': 'text/html',
    etag: '"1"',
    ...ISOLATION,
  });
  expect([isolated.status, isolated.statusText]).toEqual([203, 'From elsewhere']);
  expect(await isolated.text()).toBe('<!doctype html>');
});

it('overrules what a host says otherwise', () => {
  const open = new Response('', { headers: { 'Cross-Origin-Embedder-Policy': 'unsafe-none' } });
  expect(Object.fromEntries(isolate(open).headers)).toMatchObject(ISOLATION);
});

it('isolates answers without a body', () => {
  const isolated = isolate(new Response(null, { status: 304 }));
  expect(isolated.status).toBe(304);
  expect(Object.fromEntries(isolated.headers)).toEqual(ISOLATION);
});

it('passes on what cannot be rebuilt', () => {
  const failed = Response.error();
  expect(isolate(failed)).toBe(failed);
});

it('hands on what is isolated already as it is, with what browsers keep beside it', () => {
  const isolated = isolate(new Response('export {}'));
  expect(isolate(isolated)).toBe(isolated);
});
