import { planSampling } from '#engine/samplers/index.ts';
import { isImportedFamily, familyConfigs, guessPrediction, modelFacts } from '#library/offers/families.ts';
import { describe, expect, it } from 'vitest';

describe.each(['sd1', 'sd2', 'sdxl'] as const)('%s', (family) => {
  it.each(['some model', 'sd-turbo', 'sdxl_lightning_4step', 'dreamshaper_8LCM_lcm', 'Hyper-SD'])(
    '“%s” starts from settings the engine can sample with',
    (name) => {
      const { defaults, trainedSizes, latent } = modelFacts(family, name, 'epsilon');
      const schedulerConfig = familyConfigs(family, 'epsilon')['scheduler/scheduler_config.json'] ?? {};
      const { sampler, schedule, steps } = defaults;
      const plan = planSampling(
        { family: 'k-diffusion', sampler, schedule, options: {} },
        { schedulerConfig },
        steps,
      );
      // A1111's table: what SD's noise schedule begins at.
      expect(plan.sigmas[0]).toBeCloseTo(14.6146, 3);
      expect(trainedSizes).toContainEqual([defaults.width, defaults.height]);
      for (const [width, height] of trainedSizes) {
        expect(width % latent.sizeMultiple).toBe(0);
        expect(height % latent.sizeMultiple).toBe(0);
      }
    },
  );

  it.each(['epsilon', 'v_prediction'] as const)('its own scheduler runs with %s', (prediction) => {
    const schedulerConfig = familyConfigs(family, prediction)['scheduler/scheduler_config.json'] ?? {};
    expect(schedulerConfig['prediction_type']).toBe(prediction);
    const scheduler = String(schedulerConfig['_class_name']);
    const plan = planSampling({ family: 'diffusers', scheduler, config: {} }, { schedulerConfig }, 10);
    expect(plan.timesteps.length).toBeGreaterThanOrEqual(10);
  });
});

it.each([
  ['v2-1_768-ema-pruned', 'v_prediction'],
  ['v2-1_768-nonema-pruned', 'v_prediction'],
  ['768-v-ema', 'v_prediction'],
  ['stable-diffusion-2-1', 'v_prediction'],
  ['stable-diffusion-2-1-base', 'epsilon'],
  ['v2-1_512-ema-pruned', 'epsilon'],
  ['512-base-ema', 'epsilon'],
  ['sd_turbo', 'epsilon'],
  ['my generator', 'epsilon'],
] as const)('a model of SD 2 called %s predicts %s', (name, prediction) => {
  expect(guessPrediction('sd2', name)).toBe(prediction);
  expect(guessPrediction('sd1', name)).toBe('epsilon');
});

it('models of SD 2 that predict the velocity are for 768 × 768', () => {
  expect(modelFacts('sd2', 'v2-1_768', 'v_prediction').trainedSizes).toEqual([[768, 768]]);
  expect(modelFacts('sd2', 'v2-1_512', 'epsilon').trainedSizes).toEqual([[512, 512]]);
});

it('imports no family besides', () => {
  expect(['emoji-mini', 'other', 'toString', null].some(isImportedFamily)).toBe(false);
});
