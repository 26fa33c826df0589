import type { PerformanceName } from '#imaging/fooocus/performance.ts';
import type { FooocusSampler, FooocusSchedule } from './samplers.ts';

/** The performance modes in Fooocus-API's order; their steps are in imaging/fooocus/performance.ts. */
export const performanceNames = [
  'Speed',
  'Quality',
  'Extreme Speed',
  'Lightning',
  'Hyper-SD',
] as const satisfies readonly PerformanceName[];

/** What a mode for distilled models forces. Its LoRA is part of it in the original. */
interface DistilledMode {
  lora: string;
  weight: number;
  sampler: FooocusSampler;
  schedule: FooocusSchedule;
}

/** Source: Fooocus 2.5.3, modules/flags.py and async_worker.py, `set_lcm_defaults` and its siblings. */
export const distilledModes: Partial<Readonly<Record<PerformanceName, DistilledMode>>> = {
  'Extreme Speed': { lora: 'sdxl_lcm_lora.safetensors', weight: 1, sampler: 'lcm', schedule: 'lcm' },
  Lightning: {
    lora: 'sdxl_lightning_4step_lora.safetensors',
    weight: 1,
    sampler: 'euler',
    schedule: 'sgm_uniform',
  },
  'Hyper-SD': {
    lora: 'sdxl_hyper_sd_4step_lora.safetensors',
    weight: 0.8,
    sampler: 'dpmpp_sde_gpu',
    schedule: 'karras',
  },
};
