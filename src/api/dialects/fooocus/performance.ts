import type { FooocusSampler, FooocusSchedule } from './samplers.ts';

/** What a performance mode sets. Numbers from Fooocus 2.5.3, `modules/flags.py` and `async_worker.py`. */
export interface Performance {
  steps: number;
  /** What a distilled mode forces. Its LoRA is part of it in the original. */
  distilled?: { lora: string; weight: number; sampler: FooocusSampler; schedule: FooocusSchedule };
}

export const performances = {
  Speed: { steps: 30 },
  Quality: { steps: 60 },
  'Extreme Speed': {
    steps: 8,
    distilled: { lora: 'sdxl_lcm_lora.safetensors', weight: 1, sampler: 'lcm', schedule: 'lcm' },
  },
  Lightning: {
    steps: 4,
    distilled: {
      lora: 'sdxl_lightning_4step_lora.safetensors',
      weight: 1,
      sampler: 'euler',
      schedule: 'sgm_uniform',
    },
  },
  'Hyper-SD': {
    steps: 4,
    distilled: {
      lora: 'sdxl_hyper_sd_4step_lora.safetensors',
      weight: 0.8,
      sampler: 'dpmpp_sde_gpu',
      schedule: 'karras',
    },
  },
} as const satisfies Record<string, Performance>;
