import { expect, test } from 'vitest';
import { readBody } from '#ui/panels/api/body-text.ts';
import { curlCode, fetchCodeOf, needsBodyFile } from '#ui/panels/api/request-code.ts';

const REQUEST = {
  method: 'POST',
  target: '/api/v1/enterprise/text2img',
  type: 'application/json',
  body: `{"prompt":"the baker's apple"}`,
};

test('a request becomes a command for the real service', () => {
  expect(curlCode(REQUEST, { url: 'https://modelslab.com/api/v1/enterprise/text2img', keyPlace: 'body' }))
    .toBe(`curl -X POST \\
  'https://modelslab.com/api/v1/enterprise/text2img' \\
  -H 'Content-Type: application/json' \\
  --data-raw '{"prompt":"the baker'\\''s apple"}'`);
  const list = { method: 'GET', target: '/sdapi/schedulers_list', type: null, body: null };
  expect(curlCode(list, { url: 'https://api.itsrose.rest/sdapi/schedulers_list', keyPlace: 'bearer' }))
    .toBe(`curl 'https://api.itsrose.rest/sdapi/schedulers_list' \\
  -H 'Authorization: Bearer YOUR_KEY'`);
});

test('a body with an image is a file beside the command', () => {
  const large = { ...REQUEST, body: JSON.stringify({ image: 'A'.repeat(40_000) }) };
  expect(needsBodyFile(REQUEST)).toBe(false);
  expect(needsBodyFile(large)).toBe(true);
  expect(curlCode(large, { url: 'http://127.0.0.1:7860/x', keyPlace: 'basic' })).toContain(
    '--data-binary @request.json',
  );
});

test('a request becomes JavaScript', () => {
  const path = new URL('api/v1/enterprise/text2img', document.baseURI).pathname;
  expect(fetchCodeOf(REQUEST)).toBe(`const response = await fetch('${path}', {
  method: 'POST',
  headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify({"prompt":"the baker's apple"}),
});
console.log(response.status, await response.json());`);
});

test('bodies are read as JSON with its images apart, as images, and as text without what is binary', async () => {
  const canvas = new OffscreenCanvas(64, 64);
  canvas.getContext('2d')?.fillRect(8, 8, 32, 32);
  const png = await canvas.convertToBlob();
  const base64 = btoa(String.fromCharCode(...new Uint8Array(await png.arrayBuffer())));
  const json = await readBody(
    new Blob([JSON.stringify({ images: [base64], info: 'x' })]),
    'application/json',
  );
  expect(json.images).toEqual([`data:image/png;base64,${base64}`]);
  expect(json.text).toMatch(/"info": "x"/);
  expect(json.text.length).toBeLessThan(200);

  const image = await readBody(png, 'image/png');
  expect(image.images).toEqual([image.objectUrl]);
  URL.revokeObjectURL(image.objectUrl ?? '');

  const form = new FormData();
  form.set('prompt', 'a red apple');
  form.set('image', new File([png], 'apple.png', { type: 'image/png' }));
  const sent = new Response(form);
  const type = sent.headers.get('Content-Type');
  const read = await readBody(await sent.blob(), type);
  expect(read.text).toContain('a red apple');
  expect(read.text).toContain('(binary data)');
});
