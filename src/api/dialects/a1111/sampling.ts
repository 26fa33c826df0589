import { pythonFloat, type InfotextPair } from '#codecs/infotext.ts';
import type { KDiffusionOptions, SamplerChoice } from '#protocol/sampler.ts';
import { httpException } from './errors.ts';
import type { Options } from './options.ts';
import type { ResolvedSampler } from './samplers.ts';
import type { GenerationBody } from './generation-rows.ts';

/** Samplers on DDIM's own timesteps take their eta from an option of their own. */
const DDIM_FAMILY = ['ddim', 'ddim_cfgpp', 'plms', 'unipc'];
const WITH_CHURN = ['euler', 'heun', 'dpm_2'];

function oneOf<const T extends string>(value: string, allowed: readonly T[], option: string): T {
  const found = allowed.find((item) => item === value);
  if (found === undefined)
    throw httpException(422, `option '${option}' must be one of ${allowed.join(', ')}`);
  return found;
}

/** The sampler's settings: the request's own, or else those of the options. */
function samplingOptions(
  body: GenerationBody,
  options: Options,
  { sampler }: ResolvedSampler,
): KDiffusionOptions {
  const defaultEta = DDIM_FAMILY.includes(sampler.id) ? options.eta_ddim : options.eta_ancestral;
  return {
    eta: body.eta ?? defaultEta,
    sChurn: body.s_churn ?? options.s_churn,
    sTmin: body.s_tmin ?? options.s_tmin,
    sTmax: body.s_tmax ?? options.s_tmax,
    sNoise: body.s_noise ?? options.s_noise,
    sMinUncond: body.s_min_uncond ?? options.s_min_uncond,
    sMinUncondAll: options.s_min_uncond_all,
    skipEarlyCond: options.skip_early_cond,
    sigmaMin: options.sigma_min,
    sigmaMax: options.sigma_max,
    rho: options.rho,
    oldKarrasSigmas: options.use_old_karras_scheduler_sigmas,
    discardNextToLastSigma: options.always_discard_next_to_last_sigma,
    sgmNoiseMultiplier: options.sgm_noise_multiplier,
    ddimDiscretize: oneOf(options.ddim_discretize, ['uniform', 'quad'], 'ddim_discretize'),
    uniPcVariant: oneOf(options.uni_pc_variant, ['bh1', 'bh2', 'vary_coeff'], 'uni_pc_variant'),
    uniPcSkipType: oneOf(
      options.uni_pc_skip_type,
      ['time_uniform', 'time_quadratic', 'logSNR'],
      'uni_pc_skip_type',
    ),
    uniPcOrder: options.uni_pc_order,
    uniPcLowerOrderFinal: options.uni_pc_lower_order_final,
    betaDistAlpha: options.beta_dist_alpha,
    betaDistBeta: options.beta_dist_beta,
    ...(sampler.options['solver_type'] === 'heun' && { solverType: 'heun' }),
    quantize: options.enable_quantization,
    noiseSchedule: options.sd_noise_schedule === 'Zero Terminal SNR' ? 'zero_terminal_snr' : 'default',
  };
}

/** How a pass samples. @throws AppError `invalid_request` for options outside their list of values */
export function samplerChoice(
  body: GenerationBody,
  options: Options,
  resolved: ResolvedSampler,
): Extract<SamplerChoice, { family: 'k-diffusion' }> {
  return {
    family: 'k-diffusion',
    sampler: resolved.sampler.id,
    schedule: resolved.schedule.name,
    options: samplingOptions(body, options, resolved),
  };
}

/** What the infotext says of the sampling beyond its fixed pairs, in the original's order. */
export function samplingPairs(
  options: Options,
  { sampler, schedule }: ResolvedSampler,
  sampling: KDiffusionOptions,
): InfotextPair[] {
  const pairs: InfotextPair[] = [];
  const unless = (usual: number | undefined, value: number | undefined, key: string) => {
    if (value !== undefined && value !== usual) pairs.push([key, pythonFloat(value)]);
  };
  const ddim = DDIM_FAMILY.includes(sampler.id);
  if (options.emphasis !== 'Original') pairs.push(['Emphasis', options.emphasis]);
  if (!ddim && schedule.name !== 'automatic') {
    unless(0, sampling.sigmaMin, 'Schedule min sigma');
    unless(0, sampling.sigmaMax, 'Schedule max sigma');
    if (schedule.default_rho !== -1) unless(0, sampling.rho, 'Schedule rho');
  }
  if (sampling.discardNextToLastSigma) pairs.push(['Discard penultimate sigma', 'True']);
  if (schedule.name === 'beta') {
    unless(0.6, sampling.betaDistAlpha, 'Beta schedule alpha');
    unless(0.6, sampling.betaDistBeta, 'Beta schedule beta');
  }
  unless(ddim ? 0 : 1, sampling.eta, ddim ? 'Eta DDIM' : 'Eta');
  if (WITH_CHURN.includes(sampler.id)) {
    unless(0, sampling.sChurn, 'Sigma churn');
    unless(0, sampling.sTmin, 'Sigma tmin');
    unless(0, sampling.sTmax, 'Sigma tmax');
  }
  if (!ddim) unless(1, sampling.sNoise, 'Sigma noise');
  if (sampler.id === 'unipc') {
    if (options.uni_pc_variant !== 'bh1') pairs.push(['UniPC variant', options.uni_pc_variant]);
    if (options.uni_pc_skip_type !== 'time_uniform')
      pairs.push(['UniPC skip type', options.uni_pc_skip_type]);
    if (options.uni_pc_order !== 3) pairs.push(['UniPC order', String(options.uni_pc_order)]);
    if (!options.uni_pc_lower_order_final) pairs.push(['UniPC lower order final', 'False']);
  }
  unless(0, sampling.sMinUncond, 'NGMS');
  if (sampling.sMinUncondAll && sampling.sMinUncond) pairs.push(['NGMS all steps', 'True']);
  unless(0, sampling.skipEarlyCond, 'Skip Early CFG');
  if (sampling.sgmNoiseMultiplier) pairs.push(['SGM noise multiplier', 'True']);
  if (sampling.noiseSchedule === 'zero_terminal_snr') pairs.push(['Noise Schedule', 'Zero Terminal SNR']);
  return pairs;
}
