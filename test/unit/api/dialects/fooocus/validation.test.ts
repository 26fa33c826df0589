import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { EXAMPLE, type Json, TEXT_TO_IMAGE } from '../../../../support/fooocus.ts';
import { createFakeHost } from '../../../../support/fake-host.ts';
import { jsonOf, post } from '../../../../support/http.ts';

describe('refused requests', () => {
  it.each([
    [
      { image_number: 33 },
      'less_than_equal',
      ['body', 'image_number'],
      'Input should be less than or equal to 32',
    ],
    [{ prompt: 5 }, 'string_type', ['body', 'prompt'], 'Input should be a valid string'],
    [
      { performance_selection: 'Fast' },
      'enum',
      ['body', 'performance_selection'],
      "Input should be 'Speed', 'Quality', 'Extreme Speed', 'Lightning' or 'Hyper-SD'",
    ],
    [
      { advanced_params: { clip_skip: 0 } },
      'greater_than_equal',
      ['body', 'advanced_params', 'clip_skip'],
      'Input should be greater than or equal to 1',
    ],
    [{ loras: [{ weight: 1 }] }, 'missing', ['body', 'loras', 0, 'model_name'], 'Field required'],
    [
      { aspect_ratios_selection: 'wide' },
      'value_error',
      ['body', 'aspect_ratios_selection'],
      "Value error, should be a width and a height such as '1152*896'",
    ],
    [{ save_name: '../x' }, 'value_error', ['body', 'save_name'], 'Value error, should not contain a slash'],
  ])('422 for %o', async (wrong, type, loc, msg) => {
    const host = createFakeHost();
    const body = { ...EXAMPLE, ...wrong };
    const response = await post(createApi(host), TEXT_TO_IMAGE, body);
    expect(response.status).toBe(422);
    expect(await jsonOf<Json>(response)).toMatchObject({ detail: [{ type, loc, msg }], body });
    expect(host.jobs).toEqual([]);
  });

  it('501 for FreeU in a model of finished graphs', async () => {
    const body = { ...EXAMPLE, advanced_params: { freeu_enabled: true } };
    const response = await post(createApi(createFakeHost()), TEXT_TO_IMAGE, body);
    expect(response.status).toBe(501);
    expect(await jsonOf<Json>(response)).toEqual({
      detail:
        "'advanced_params.freeu_enabled' needs a model from .safetensors files: Emoji Mini consists of exported ONNX graphs.",
    });
  });
});
