import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { createFakeHost, OWN_GRAPHS_MODEL, TEST_MODEL } from '../../../../support/fake-host.ts';
import { ignoredBy, type Json, postExample } from '../../../../support/fooocus.ts';

const refiner = { ...OWN_GRAPHS_MODEL, pack: { ...OWN_GRAPHS_MODEL.pack, id: 'refiner' }, selected: false };

async function passOf(changes: Json) {
  const host = createFakeHost({ models: [TEST_MODEL, refiner] });
  const response = await postExample(createApi(host), {
    refiner_model_name: 'refiner.safetensors',
    ...changes,
  });
  const [job] = host.jobs;
  return {
    refiner: job?.passes[0].refiner,
    parameters: job?.output.texts?.[0]?.['parameters'] ?? '',
    ignored: ignoredBy(response),
  };
}

describe('a refiner', () => {
  it('takes over at a share of the steps, rounded', async () => {
    const { refiner: half } = await passOf({});
    expect(half).toEqual({ model: 'refiner', switchAt: 0.5, counts: 'step' });
    expect((await passOf({ refiner_switch: 0.85 })).refiner?.switchAt).toBe(26 / 30);
  });

  it('takes over at the step of overwrite_switch, or at its share', async () => {
    const switchAt = async (overwrite_switch: number) =>
      (await passOf({ advanced_params: { overwrite_switch } })).refiner?.switchAt;
    expect([await switchAt(12), await switchAt(0.2)]).toEqual([12 / 30, 6 / 30]);
  });

  it('counts in the steps of the mode also where others run', async () => {
    const { refiner: late } = await passOf({ advanced_params: { overwrite_step: 20 } });
    expect(late?.switchAt).toBe(15 / 20);
    expect((await passOf({ advanced_params: { overwrite_step: 15 } })).refiner).toBeUndefined();
  });

  it('is told of in both schemes', async () => {
    const advanced_params = { overwrite_switch: 12 };
    expect(JSON.parse((await passOf({ advanced_params })).parameters)).toMatchObject({
      refiner_model: 'refiner',
      refiner_model_hash: '0123456789',
      refiner_switch: 0.5,
      overwrite_switch: 12,
    });
    const { parameters } = await passOf({ advanced_params, meta_scheme: 'a1111' });
    expect(parameters).toContain('Refiner: refiner, Refiner hash: 0123456789, ');
    expect(parameters).toContain('Overwrite Switch: 12.0');
  });

  it.each([
    ['of another name', { refiner_model_name: 'nowhere.safetensors' }],
    ['that is the base model', { refiner_model_name: 'emoji-mini', base_model_name: 'emoji-mini' }],
    ['in a fast mode', { performance_selection: 'Lightning' }],
  ])('%s is none', async (_, changes) => {
    const { refiner: none, ignored, parameters } = await passOf(changes);
    expect(none).toBeUndefined();
    expect(ignored).toContain('refiner_model_name');
    expect(parameters).toContain('"refiner_model": "None"');
  });

  it('always takes over within the run', async () => {
    const { ignored } = await passOf({ advanced_params: { refiner_swap_method: 'vae' } });
    expect(ignored).toContain('advanced_params.refiner_swap_method');
  });
});
