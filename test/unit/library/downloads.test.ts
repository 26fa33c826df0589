import 'fake-indexeddb/auto';
import { readFile } from 'node:fs/promises';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { createLibrary } from '#library/library.ts';
import { packs } from '#library/packs/index.ts';
import { dispositionName } from '#library/sources/download-name.ts';
import { openModelFiles } from '#storage/model-files.ts';
import { openImportedPacks } from '#storage/packs.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

/** How other sites hand out one and the same LoRA. */
const ANSWERS: Readonly<Record<string, (response: ServerResponse) => void>> = {
  '/api/download/models/128713': (response) => {
    send(response, { 'Content-Disposition': 'attachment; filename="dreamshaper 8 (pruned).safetensors"' });
  },
  '/api/download/models/2': (response) => {
    redirect(
      response,
      '/store/0a1b2c?X-Amz-Signature=hidden&response-content-disposition=attachment%3B%20filename%3D%22Add%20More%20Details.safetensors%22',
    );
  },
  '/api/download/models/3': (response) => {
    redirect(response, '/store/pixel-art-xl.safetensors?sig=hidden');
  },
  '/api/download/models/4': (response) => send(response, {}),
  '/repo': (response) => send(response, {}),
  '/utf8': (response) => {
    // The UTF-8 bytes of the name, as many servers send them.
    const name = Buffer.from('Gemälde.safetensors').toString('latin1');
    send(response, { 'Content-Disposition': `attachment; filename="${name}"` });
  },
  '/login-after-redirect': (response) => redirect(response, '/login?next=/secret.safetensors'),
  '/login': (response) => {
    response.writeHead(200, { ...CORS, 'Content-Type': 'text/html; charset=utf-8' });
    response.end('<!doctype html><title>Log in</title>');
  },
  '/store/0a1b2c': (response) => send(response, {}),
  '/store/pixel-art-xl.safetensors': (response) => send(response, {}),
};

const CORS = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Expose-Headers': 'Content-Disposition, Content-Length',
};

let lora: Buffer;
let server: Server;
let origin: string;
let databases = 0;
/** Whether the site wants its visitors to log in again. */
let isLoggedOut = false;

function send(response: ServerResponse, headers: Record<string, string>) {
  const type = { 'Content-Type': 'application/octet-stream', 'Content-Length': lora.length };
  response.writeHead(200, { ...CORS, ...type, ...headers }).end(lora);
}

function redirect(response: ServerResponse, to: string) {
  response.writeHead(302, { ...CORS, Location: to }).end();
}

beforeAll(async () => {
  lora = await readFile(path.resolve(import.meta.dirname, '../../fixtures/models/lora-kohya.safetensors'));
  server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', origin);
    const status = /^\/status\/(\d+)$/.exec(pathname)?.[1];
    if (status !== undefined) {
      const code = searchParams.get('code');
      response.writeHead(Number(status), { ...CORS, ...(code !== null && { 'X-Error-Code': code }) }).end();
      return;
    }
    const answer = ANSWERS[isLoggedOut ? '/login' : pathname];
    if (answer) answer(response);
    else response.writeHead(404, CORS).end();
  });
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The server has no port.');
  origin = `http://localhost:${address.port}`;
});

afterAll(() => {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(resolve));
});

function openLibrary() {
  databases++;
  return createLibrary({
    packs: [packs['emoji-mini']],
    files: openModelFiles(`downloads-${databases}`),
    imported: openImportedPacks(`download-packs-${databases}`),
    base: `${origin}/`,
    hub: 'https://hub.example',
    estimate: () => Promise.resolve({}),
  });
}

describe('a download is called', () => {
  it.each([
    ['as the header says', '/api/download/models/128713?token=hidden', 'dreamshaper 8 (pruned)'],
    ['as the signed address it ends at says', '/api/download/models/2?token=hidden', 'Add More Details'],
    ['as the last part of where it ends', '/api/download/models/3?token=hidden', 'pixel-art-xl'],
    ['by a parameter', '/repo?Revision=master&FilePath=loras%2FInk.safetensors&api_key=hidden', 'Ink'],
    ['by the number in the path, where there is nothing else', '/api/download/models/4?token=hidden', '4'],
    ['in UTF-8, though headers are Latin-1', '/utf8?token=hidden', 'Gemälde'],
  ])('%s', async (_, address, name) => {
    const library = openLibrary();
    const source = { from: 'url', url: origin + address } as const;
    const offer = await library.inspect(source, null);
    expect(offer).toMatchObject({ id: name, title: name, kind: 'lora', problem: null });
    const told: unknown[] = [];
    await library.importPack(source, { storage: 'exact' }, null, (pack, state) => told.push(pack, state));
    const list = await library.list();
    expect(list.at(-1)).toMatchObject({ pack: { id: name }, state: { stage: 'installed' } });
    expect(JSON.stringify([offer, told, list])).not.toContain('hidden');
  });
});

it.each([
  ['attachment; filename=plain.safetensors', 'plain.safetensors'],
  ['attachment; filename="a \\"b\\".safetensors"; size=3', 'a "b".safetensors'],
  [
    'attachment; filename="___.safetensors"; filename*=UTF-8\'\'%E6%A8%A1%E5%9E%8B.safetensors',
    '模型.safetensors',
  ],
  ["attachment; filename*=iso-8859-1'de'Gem%E4lde.safetensors", 'Gemälde.safetensors'],
  ['attachment; filename="../../etc/x.safetensors"', 'x.safetensors'],
  ['attachment; filename="%D0%BC.safetensors"', 'м.safetensors'],
  ['inline', undefined],
  ['', undefined],
])('Content-Disposition %s', (header, name) => {
  expect(dispositionName(header)).toBe(name);
});

describe('a server that hands out nothing says why', () => {
  it.each([
    ['401', 'wants a login'],
    ['401?code=GatedRepo', 'who accepted its terms'],
    ['401?code=RepoNotFound', 'or it is private'],
    ['403', 'its link may have expired'],
    ['404', '(404). Check the address'],
    ['404?code=RevisionNotFound', 'not the branch or commit'],
    ['410', 'no longer has'],
    ['418', 'answered 418'],
    ['429', 'Wait some minutes and try again'],
    ['503', 'has a problem of its own (503)'],
  ])('%s', async (status, sentence) => {
    const inspecting = openLibrary().inspect({ from: 'url', url: `${origin}/status/${status}` }, null);
    await expect(inspecting).rejects.toMatchObject({
      code: 'download_failed',
      message: expect.stringContaining(sentence) as string,
    });
  });

  it('one that is not running', async () => {
    const closed = createServer();
    await new Promise<void>((resolve) => closed.listen(0, 'localhost', resolve));
    const { port } = closed.address() as AddressInfo;
    await new Promise((resolve) => closed.close(resolve));
    const inspecting = openLibrary().inspect({ from: 'url', url: `http://localhost:${port}/x` }, null);
    await expect(inspecting).rejects.toMatchObject({
      code: 'download_failed',
      message: `Nothing answers at localhost:${port}. Start the server and try again.`,
    });
  });
});

describe('a page in place of a file', () => {
  const wantsLogin = {
    code: 'download_failed',
    message: expect.stringContaining('may need a login') as string,
  };

  it.each(['/login-after-redirect?token=hidden', '/login'])('is named as such: %s', async (address) => {
    const inspecting = openLibrary().inspect({ from: 'url', url: origin + address }, null);
    await expect(inspecting).rejects.toMatchObject(wantsLogin);
    await expect(inspecting).rejects.not.toMatchObject({
      message: expect.stringContaining('hidden') as string,
    });
  });

  it('is not stored when it comes after the file was looked into', async () => {
    const library = openLibrary();
    const source = { from: 'url', url: `${origin}/api/download/models/3` } as const;
    const importing = library.importPack(source, { storage: 'exact' }, null, (_, state) => {
      isLoggedOut = state.stage === 'downloading';
    });
    await expect(importing).rejects.toMatchObject(wantsLogin);
    expect((await library.list()).at(-1)?.state).toMatchObject({ stage: 'failed', receivedBytes: 0 });
    await library.install('pixel-art-xl', () => undefined);
    expect((await library.list()).at(-1)?.state).toMatchObject({ stage: 'installed' });
  });
});

it('the same file with another key is the same import', async () => {
  const library = openLibrary();
  const add = (key: string) =>
    library.importPack(
      { from: 'url', url: `${origin}/api/download/models/3?type=Model&token=${key}` },
      { storage: 'exact' },
      null,
      () => undefined,
    );
  expect(await add('first')).toBe('pixel-art-xl');
  expect(await add('second')).toBe('pixel-art-xl');
  expect(await library.list()).toHaveLength(2);
});

it.each([
  ['ftp://example.com/a.safetensors?token=hidden', 'not an https address'],
  ['https://me:hidden@example.com/a.safetensors', 'user name or a password'],
  ['https://hub.example/docs/x?token=hidden', 'not the address of a model'],
])('says what is wrong with %s, without the key in it', async (url, sentence) => {
  const inspecting = openLibrary().inspect({ from: 'url', url }, null);
  await expect(inspecting).rejects.toMatchObject({
    code: 'invalid_request',
    message: expect.stringContaining(sentence) as string,
  });
  await expect(inspecting).rejects.not.toMatchObject({
    message: expect.stringContaining('hidden') as string,
  });
});
