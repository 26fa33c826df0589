import { expect, test } from 'vitest';
import { fewStepsOf, fewStepsOfPack } from '#protocol/few-steps.ts';
import { demoAddOn, demoModel } from '../../support/demo-host.ts';

test.each([
  ['sd_xl_turbo_1.0_fp16', { title: 'Turbo', values: { steps: 4, guidanceScale: 1 } }],
  ['sdxl_lightning_4step_lora', { title: 'Lightning', values: { steps: 4, sampler: 'euler' } }],
  ['Hyper-SDXL-8steps-lora', { title: 'Hyper-SD', values: { steps: 8, schedule: 'sgm_uniform' } }],
  ['Hyper-SD15-12steps-CFG-lora', { title: 'Hyper-SD', values: { steps: 12, guidanceScale: 5 } }],
  ['lcm-lora-sdv1-5', { title: 'LCM', values: { steps: 6, guidanceScale: 1, sampler: 'lcm' } }],
  ['dreamshaper_8', null],
  ['hyperrealism_v3', null],
  ['calcmix', null],
])('%s', (name, expected) => {
  const found = fewStepsOf(name);
  if (expected) expect(found).toMatchObject(expected);
  else expect(found).toBe(null);
});

test('a file that says nothing by its name may do so in its metadata', () => {
  const lora = demoAddOn('lora', 'pytorch_lora_weights');
  expect(fewStepsOfPack(lora)).toBe(null);
  expect(fewStepsOfPack({ ...lora, metadata: { ss_output_name: 'my_lcm_style' } })?.title).toBe('LCM');
  expect(
    fewStepsOfPack({ ...lora, importedFrom: 'https://huggingface.co/latent-consistency/lcm-lora-sdv1-5' })
      ?.title,
  ).toBe('LCM');
  expect(fewStepsOfPack(demoModel)).toBe(null);
});
