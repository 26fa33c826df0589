import { describe, expect, it } from 'vitest';
import { planSampling } from '#engine/samplers/index.ts';
import { kDiffusionSamplers } from '#engine/samplers/k-diffusion/index.ts';
import { sigmaSchedules } from '#engine/samplers/k-diffusion/sigma-schedules.ts';
import type { KDiffusionOptions } from '#protocol/sampler.ts';
import { sigmaTable } from './model.ts';

const model = { schedulerConfig: { prediction_type: 'epsilon' } };
const table = sigmaTable();
const SIGMA_MIN = table[0] ?? NaN;
const SIGMA_MAX = table.at(-1) ?? NaN;

function sigmasOf(
  schedule: string,
  steps: number,
  options: KDiffusionOptions = {},
  alignYourSteps: 'sd1' | 'sdxl' = 'sd1',
): number[] {
  const choice = { family: 'k-diffusion', sampler: 'euler', schedule, options } as const;
  return planSampling(choice, { ...model, alignYourSteps }, steps).sigmas;
}

function expectSigmas(actual: readonly number[], expected: readonly number[], digits = 6): void {
  expect(actual).toHaveLength(expected.length);
  for (const [i, sigma] of expected.entries()) expect(actual[i]).toBeCloseTo(sigma, digits);
}

/** Sigma at a fractional timestep, linear in log sigma. */
function at(timestep: number): number {
  const [low, high] = [Math.floor(timestep), Math.ceil(timestep)];
  const w = timestep - low;
  return Math.exp((1 - w) * Math.log(table[low] ?? NaN) + w * Math.log(table[high] ?? NaN));
}

describe('sigma schedules', () => {
  it("start from Stable Diffusion's noise levels", () => {
    expect(SIGMA_MIN).toBeCloseTo(0.0292, 4);
    expect(SIGMA_MAX).toBeCloseTo(14.6146, 4);
  });

  it.each(Object.keys(sigmaSchedules))('%s falls and has the wanted number of steps', (schedule) => {
    for (const steps of [2, 5, 10, 20, 33, 50]) {
      const sigmas = sigmasOf(schedule, steps);
      for (const [i, sigma] of sigmas.slice(1).entries()) expect(sigma).toBeLessThan(sigmas[i] ?? NaN);
      const { length } = sigmas;
      if (schedule.startsWith('ddim')) expect(length - 1).toBeGreaterThanOrEqual(steps);
      else expect(length - 1).toBe(schedule === 'turbo' ? Math.min(steps, 10) : steps);
      expect(sigmas.at(-1)).toBeCloseTo(schedule === 'kl_optimal' ? SIGMA_MIN : 0, 12);
    }
  });

  it.each(Object.keys(sigmaSchedules))('%s can be cut to a single step', (schedule) => {
    const sigmas = sigmasOf(schedule, 1);
    expect(sigmas.length).toBeGreaterThanOrEqual(2);
    expect(sigmas.every(Number.isFinite)).toBe(true);
  });

  it('automatic and uniform are even in time, both ends included', () => {
    const expected = [at(999), at(999 * 0.75), at(999 * 0.5), at(999 * 0.25), at(0), 0];
    expectSigmas(sigmasOf('automatic', 5), expected);
    expectSigmas(sigmasOf('uniform', 5), expected);
    expectSigmas(sigmasOf('normal', 5), expected);
  });

  it('sgm_uniform leaves the least noisy level out', () => {
    expectSigmas(sigmasOf('sgm_uniform', 4), [at(999), at(749.25), at(499.5), at(249.75), 0]);
  });

  it('simple takes every nth trained level', () => {
    expectSigmas(sigmasOf('simple', 4), [999, 749, 499, 249].map((i) => table[i] ?? NaN).concat(0));
    expectSigmas(sigmasOf('simple', 3), [999, 666, 333].map((i) => table[i] ?? NaN).concat(0));
  });

  it('ddim counts up from the second level, and so may be longer', () => {
    expectSigmas(sigmasOf('ddim', 3), [1 + 333 * 2, 1 + 333, 1].map((i) => table[i] ?? NaN).concat(0));
    expect(sigmasOf('ddim', 30)).toHaveLength(32);
  });

  it('exponential and polyexponential are powers in log sigma', () => {
    const middle = Math.sqrt(SIGMA_MIN * SIGMA_MAX);
    expectSigmas(sigmasOf('exponential', 3), [SIGMA_MAX, middle, SIGMA_MIN, 0]);
    expectSigmas(sigmasOf('polyexponential', 3), [SIGMA_MAX, middle, SIGMA_MIN, 0]);
    const curved = SIGMA_MIN * (SIGMA_MAX / SIGMA_MIN) ** 0.25;
    expectSigmas(sigmasOf('polyexponential', 3, { rho: 2 }), [SIGMA_MAX, curved, SIGMA_MIN, 0]);
  });

  it('kl_optimal is even in the arc tangent of sigma', () => {
    const sigmas = sigmasOf('kl_optimal', 4).map(Math.atan);
    const step = (Math.atan(SIGMA_MAX) - Math.atan(SIGMA_MIN)) / 4;
    for (const [i, angle] of sigmas.entries()) expect(angle).toBeCloseTo(Math.atan(SIGMA_MAX) - step * i, 9);
  });

  it('beta with both parameters 1 is even in sigma, and with 0.6 denser at both ends', () => {
    const even = sigmasOf('beta', 5, { betaDistAlpha: 1, betaDistBeta: 1 });
    for (const i of [0, 1, 2, 3]) {
      expect((even[i] ?? NaN) - (even[i + 1] ?? NaN)).toBeCloseTo((SIGMA_MAX - SIGMA_MIN) / 4, 6);
    }
    const usual = sigmasOf('beta', 9);
    const gaps = usual.slice(1, -1).map((sigma, i) => (usual[i] ?? NaN) - sigma);
    expect(gaps[0]).toBeLessThan(gaps[3] ?? NaN);
    expect(gaps.at(-1)).toBeLessThan(gaps[3] ?? NaN);
  });

  it("align_your_steps is A1111's table at 11 steps, and interpolated otherwise", () => {
    const sd1 = [14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029];
    const sdxl = [14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.38, 0.234, 0.113, 0.029];
    expectSigmas(sigmasOf('align_your_steps', 11), [...sd1, 0]);
    expectSigmas(sigmasOf('align_your_steps', 11, {}, 'sdxl'), [...sdxl, 0]);
    const twice = sigmasOf('align_your_steps', 21);
    expect(twice[1]).toBeCloseTo(Math.sqrt(14.615 * 6.475), 6);
    expectSigmas(twice.filter((_, i) => i % 2 === 0).slice(0, 11), sd1);
  });

  it("align_your_steps of ComfyUI ends its own ten steps at 0 instead of the table's last", () => {
    const sigmas = sigmasOf('align_your_steps', 10, { reference: 'comfyui' });
    expect(sigmas).toHaveLength(11);
    expectSigmas(sigmas.slice(0, 2), [14.6146412293, 6.4745760956]);
    expect(sigmas.at(-2)).toBeCloseTo(0.1515232662, 9);
  });

  it('turbo counts down by a hundred timesteps, at most ten times', () => {
    expectSigmas(sigmasOf('turbo', 2), [table[999] ?? NaN, table[899] ?? NaN, 0]);
    expect(sigmasOf('turbo', 30)).toHaveLength(11);
  });

  it("edm_playground_v2.5 brings the model's own range", () => {
    const sigmas = sigmasOf('edm_playground_v2.5', 10);
    expect(sigmas[0]).toBeCloseTo(120, 9);
    expect(sigmas.at(-2)).toBeCloseTo(0.002, 9);
  });

  it('honours overrides of the range and the curve, and the old Karras range', () => {
    const overridden = sigmasOf('karras', 6, { sigmaMin: 0.1, sigmaMax: 8, rho: 3 });
    expectSigmas([overridden[0] ?? NaN, overridden[5] ?? NaN], [8, 0.1], 9);
    expect(overridden[1]).toBeCloseTo((2 + 0.2 * (0.1 ** (1 / 3) - 2)) ** 3, 9);
    const old = sigmasOf('karras', 6, { oldKarrasSigmas: true });
    expectSigmas([old[0] ?? NaN, old[5] ?? NaN], [10, 0.1], 9);
  });

  it('leaves the last but one out where the sampler or the request says so', () => {
    const asked = sigmasOf('karras', 5, { discardNextToLastSigma: true });
    const six = sigmasOf('karras', 6);
    expectSigmas(asked, [...six.slice(0, 5), 0]);
    const choice = { family: 'k-diffusion', sampler: 'dpm_2', schedule: 'karras', options: {} } as const;
    expectSigmas(planSampling(choice, model, 5).sigmas, asked);
  });

  it('reaches terminal noise with a zero-terminal-SNR noise schedule', () => {
    const choice = {
      family: 'k-diffusion',
      sampler: 'euler',
      schedule: 'karras',
      options: { noiseSchedule: 'zero_terminal_snr' },
    } as const;
    const plan = planSampling(choice, { schedulerConfig: { prediction_type: 'v_prediction' } }, 10);
    expect(plan.sigmas[0]).toBeCloseTo(Math.sqrt(1 / 4.8973451890853435e-8 - 1), 0);
    expect(() => planSampling(choice, model, 10)).toThrow(
      expect.objectContaining({ code: 'unsupported_feature' }) as Error,
    );
  });
});

describe('names', () => {
  it("has all of A1111's and Fooocus's samplers", () => {
    const a1111 =
      'dpmpp_2m dpmpp_sde dpmpp_2m_sde dpmpp_2m_sde_heun dpmpp_2s_ancestral dpmpp_3m_sde euler_ancestral euler lms heun dpm_2 dpm_2_ancestral dpm_fast dpm_adaptive restart ddim ddim_cfgpp plms unipc lcm';
    const fooocus =
      'euler euler_ancestral heun heunpp2 dpm_2 dpm_2_ancestral lms dpm_fast dpm_adaptive dpmpp_2s_ancestral dpmpp_sde dpmpp_sde_gpu dpmpp_2m dpmpp_2m_sde dpmpp_2m_sde_gpu dpmpp_3m_sde dpmpp_3m_sde_gpu ddpm lcm tcd restart ddim uni_pc uni_pc_bh2';
    for (const name of `${a1111} ${fooocus}`.split(' '))
      expect(Object.keys(kDiffusionSamplers)).toContain(name);
  });

  it("has all of A1111's and Fooocus's schedules", () => {
    const names =
      'uniform karras exponential polyexponential sgm_uniform kl_optimal align_your_steps simple normal ddim beta ddim_uniform lcm turbo tcd edm_playground_v2.5';
    for (const name of names.split(' ')) expect(Object.keys(sigmaSchedules)).toContain(name);
  });

  it.each([
    ['dpmpp_2m', 'karras'],
    ['dpmpp_2m_sde', 'exponential'],
    ['euler', null],
    ['ddim', null],
  ])('%s chooses %s by itself', (sampler, schedule) => {
    const choice = { family: 'k-diffusion', sampler, schedule: 'automatic', options: {} } as const;
    expect(planSampling(choice, model, 10).schedule).toBe(schedule);
  });

  it.each([
    { eta: -1 },
    { sNoise: NaN },
    { sChurn: Infinity },
    { skipEarlyCond: 1.5 },
    { uniPcOrder: 0 },
    { uniPcOrder: 2.5 },
    { betaDistAlpha: 0 },
    { sigmaMin: 20 },
    { sigmaMin: 3, sigmaMax: 2 },
  ])('refuses %o', (options) => {
    expect(() => sigmasOf('karras', 10, options)).toThrow(
      expect.objectContaining({ code: 'invalid_request' }) as Error,
    );
  });

  it('refuses what does not exist', () => {
    const refused = expect.objectContaining({ code: 'invalid_request' }) as Error;
    const plan = (sampler: string, schedule: string, steps: number) =>
      planSampling({ family: 'k-diffusion', sampler, schedule, options: {} }, model, steps);
    expect(() => plan('eulre', 'karras', 10)).toThrow(refused);
    expect(() => plan('toString', 'karras', 10)).toThrow(refused);
    expect(() => plan('euler', 'carras', 10)).toThrow(refused);
    expect(() => plan('euler', 'karras', 0)).toThrow(refused);
    expect(() => plan('euler', 'karras', 1.5)).toThrow(refused);
  });
});
