import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { SMALL, txt2img } from '../../../../support/a1111.ts';
import { createFakeHost } from '../../../../support/fake-host.ts';

describe('validation', () => {
  it.each([
    [
      '{"steps":"many"}',
      { loc: ['body', 'steps'], msg: 'value is not a valid integer', type: 'type_error.integer' },
    ],
    [
      '{"cfg_scale":[]}',
      { loc: ['body', 'cfg_scale'], msg: 'value is not a valid float', type: 'type_error.float' },
    ],
    [
      '{"tiling":7}',
      { loc: ['body', 'tiling'], msg: 'value could not be parsed to a boolean', type: 'type_error.bool' },
    ],
    ['{"prompt":{}}', { loc: ['body', 'prompt'], msg: 'str type expected', type: 'type_error.str' }],
    [
      '{"styles":"x"}',
      { loc: ['body', 'styles'], msg: 'value is not a valid list', type: 'type_error.list' },
    ],
    ['{"styles":[{}]}', { loc: ['body', 'styles', 0], msg: 'str type expected', type: 'type_error.str' }],
    [
      '{"override_settings":3}',
      { loc: ['body', 'override_settings'], msg: 'value is not a valid dict', type: 'type_error.dict' },
    ],
    ['[]', { loc: ['body'], msg: 'value is not a valid dict', type: 'type_error.dict' }],
    ['', { loc: ['body'], msg: 'field required', type: 'value_error.missing' }],
    [
      '{"prompt": "x",}',
      {
        loc: ['body', 15],
        msg: 'Expecting property name enclosed in double quotes: line 1 column 16 (char 15)',
        type: 'value_error.jsondecode',
        ctx: {
          msg: 'Expecting property name enclosed in double quotes',
          doc: '{"prompt": "x",}',
          pos: 15,
          lineno: 1,
          colno: 16,
        },
      },
    ],
  ])('answers 422 for %s', async (body, detail) => {
    const response = await createApi(createFakeHost()).request('/sdapi/v1/txt2img', { method: 'POST', body });
    expect(response.status).toBe(422);
    expect(await response.json()).toEqual({ detail: [detail] });
  });

  it('reads values as pydantic 1 does', async () => {
    const { status, job } = await txt2img({
      width: '64',
      height: 64.9,
      steps: '2',
      cfg_scale: '7.5',
      send_images: 'off',
      prompt: 12,
      seed: '42',
      sampler_name: null,
    });
    expect(status).toBe(200);
    expect(job).toMatchObject({
      images: [{ prompt: ['12'], seed: 42n }],
      passes: [{ size: { width: 64, height: 64 }, steps: 2, guidanceScale: 7.5 }],
    });
  });

  it('takes a body without a type for JSON, one of another type not', async () => {
    const api = createApi(createFakeHost());
    const body = new TextEncoder().encode(JSON.stringify(SMALL));
    expect((await api.request('/sdapi/v1/txt2img', { method: 'POST', body })).status).toBe(200);
    const headers = { 'Content-Type': 'text/plain' };
    const typed = await api.request('/sdapi/v1/txt2img', { method: 'POST', body, headers });
    expect(typed.status).toBe(422);
  });
});
