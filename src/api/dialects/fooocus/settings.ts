import { multipleOf8 } from '#api/job.ts';
import { applyOverrides, performanceSteps } from '#imaging/fooocus/performance.ts';
import type { FooocusGuidance, GraphOptions, Size } from '#protocol/job.ts';
import type { ModelFamily } from '#protocol/model.ts';
import { distilledModes } from './performance.ts';
import { isSampler, isSchedule } from './samplers.ts';
import { ADM_DEFAULTS, type CommonRequest } from './schema.ts';

export type Settings = ReturnType<typeof readSettings>;

/** Sampler, guidance and the like, after the performance mode has had its say. */
export function readSettings(request: CommonRequest) {
  const advanced = request.advanced_params;
  const distilled = distilledModes[request.performance_selection];
  const { sampler_name: sampler, scheduler_name: schedule } = advanced;
  if (distilled) {
    return {
      sampler: distilled.sampler,
      schedule: distilled.schedule,
      guidanceScale: 1,
      sharpness: 0,
      allowsRefiner: false,
      refinerSwitch: 1,
      adaptiveCfg: 1,
      admGuidance: [1, 1, 0] as const,
      lora: { name: distilled.lora, weight: distilled.weight },
      withoutEffect: [],
    };
  }
  const withoutEffect: string[] = [];
  if (!isSampler(sampler)) withoutEffect.push('advanced_params.sampler_name');
  if (!isSchedule(schedule)) withoutEffect.push('advanced_params.scheduler_name');
  return {
    sampler: isSampler(sampler) ? sampler : ('dpmpp_2m_sde_gpu' as const),
    schedule: isSchedule(schedule) ? schedule : ('karras' as const),
    guidanceScale: request.guidance_scale,
    sharpness: request.sharpness,
    allowsRefiner: true,
    refinerSwitch: request.refiner_switch,
    adaptiveCfg: advanced.adaptive_cfg,
    admGuidance: [
      advanced.adm_scaler_positive,
      advanced.adm_scaler_negative,
      advanced.adm_scaler_end,
    ] as const,
    lora: null,
    withoutEffect,
  };
}

/** What Fooocus does to guidance. */
export function readGuidance({
  sharpness,
  adaptiveCfg,
  admGuidance: [positive, negative, end],
}: Settings): FooocusGuidance {
  return { adaptiveScale: adaptiveCfg, sharpness, sizes: { positive, negative, end } };
}

/** The parameters of ADM guidance that ask for something other models than SDXL's are not given. */
export function admWithoutEffect(
  { advanced_params: advanced }: CommonRequest,
  family: ModelFamily,
): string[] {
  if (family === 'sdxl') return [];
  return Object.entries(ADM_DEFAULTS).flatMap(([name, initial]) =>
    advanced[name as keyof typeof ADM_DEFAULTS] === initial ? [] : `advanced_params.${name}`,
  );
}

/** Steps, the step at which a refiner takes over, and size of a run without an image. */
export interface RunNumbers {
  steps: number;
  switchStep: number;
  size: Size;
}

/**
 * The numbers of a run, after the overwriting fields have had their say.
 * @param refinerSwitch share of the steps
 * @param isUpscale upscaling has steps of its own
 */
export function readNumbers(
  request: CommonRequest,
  { refinerSwitch }: Pick<Settings, 'refinerSwitch'>,
  isUpscale: boolean,
): RunNumbers {
  const { overwrite_step, overwrite_switch, overwrite_width, overwrite_height } = request.advanced_params;
  const mode = performanceSteps[request.performance_selection];
  const steps = isUpscale ? mode.stepsUov : mode.steps;
  // The documentation says a step, the source a share.
  const isShare = overwrite_switch > 0 && overwrite_switch <= 1;
  const run = applyOverrides(
    {
      ...request.aspect_ratios_selection,
      steps,
      refinerSwitch: isShare ? overwrite_switch : refinerSwitch,
    },
    {
      steps: overwrite_step,
      switch: isShare ? -1 : Math.trunc(overwrite_switch),
      width: overwrite_width,
      height: overwrite_height,
    },
  );
  return {
    steps: run.steps,
    switchStep: run.switch,
    size: { width: multipleOf8(run.width), height: multipleOf8(run.height) },
  };
}

/** FreeU in its second version, as `core.apply_freeu` has it; null where it is off. */
export function readFreeU({
  advanced_params: advanced,
}: CommonRequest): Required<GraphOptions>['freeU'] | null {
  if (!advanced.freeu_enabled) return null;
  const { freeu_b1: b1, freeu_b2: b2, freeu_s1: s1, freeu_s2: s2 } = advanced;
  return { b1, b2, s1, s2, version: 2 };
}
