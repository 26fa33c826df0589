import { describe, expect, it } from 'vitest';
import { planSampling } from '#engine/samplers/index.ts';
import type { SamplingStart } from '#engine/samplers/sampling-plan.ts';
import type { KDiffusionOptions } from '#protocol/sampler.ts';
import * as reference from './reference.ts';
import {
  ALPHAS,
  diffusionNetwork,
  drawNumber,
  NUMBERS,
  relativeError,
  runProgram,
  sigmaTable,
  unconditionalMean,
} from './model.ts';
import type { Predicts, Run } from './model.ts';

const SIGMA_MIN = sigmaTable()[0] ?? NaN;
const SIGMA_MAX = sigmaTable().at(-1) ?? NaN;
/** Where ᾱ and the network's sigmas, both rounded to float32, meet. */
const ROUNDED = 1e-7;

const INIT = Array.from({ length: NUMBERS }, (_, i) => Math.cos(i + 1));

function sample(
  sampler: string,
  schedule: string,
  steps: number,
  options: KDiffusionOptions = {},
  predicts: Predicts = 'epsilon',
  start: SamplingStart = { from: 'noise' },
): Run & { planned: ReturnType<typeof planSampling> } {
  const model = { schedulerConfig: { prediction_type: predicts } };
  const planned = planSampling({ family: 'k-diffusion', sampler, schedule, options }, model, steps, start);
  const run = runProgram(planned.program(), diffusionNetwork(predicts), {
    unconditional: diffusionNetwork(predicts, unconditionalMean),
    init: INIT,
  });
  return { ...run, planned };
}

const scale = (weight: number, x: number[]) => x.map((value) => weight * value);

const overSigmas = {
  euler: reference.euler,
  euler_ancestral: reference.eulerAncestral,
  heun: reference.heun,
  heunpp2: reference.heunpp2,
  dpm_2: reference.dpm2,
  dpm_2_ancestral: reference.dpm2Ancestral,
  lms: reference.lms,
  dpmpp_2s_ancestral: reference.dpmpp2sAncestral,
  dpmpp_sde: reference.dpmppSde,
  dpmpp_sde_gpu: reference.dpmppSde,
  dpmpp_2m: reference.dpmpp2m,
  dpmpp_2m_sde: reference.dpmpp2mSde,
  dpmpp_2m_sde_gpu: reference.dpmpp2mSde,
  dpmpp_2m_sde_heun: reference.dpmpp2mSdeHeun,
  dpmpp_3m_sde: reference.dpmpp3mSde,
  dpmpp_3m_sde_gpu: reference.dpmpp3mSde,
  restart: reference.restart,
  ddpm: reference.ddpm,
};

/** A1111 asks these for one sigma more and leaves the last but one out. */
const discarding = new Set(['dpm_2', 'dpm_2_ancestral', 'dpmpp_3m_sde', 'dpmpp_3m_sde_gpu']);

function karrasFor(sampler: string, steps: number): number[] {
  const extra = discarding.has(sampler) ? 1 : 0;
  const sigmas = [...reference.karras(steps + extra, SIGMA_MIN, SIGMA_MAX), 0];
  if (extra) sigmas.splice(-2, 1);
  return sigmas;
}

describe.each(Object.entries(overSigmas))('%s', (sampler, algorithm) => {
  it.each(['epsilon', 'v_prediction', 'sample'] as const)(
    'agrees with its paper for a model that predicts %s',
    (predicts) => {
      const sigmas = karrasFor(sampler, 9);
      const model = reference.wrap(diffusionNetwork(predicts), predicts);
      const expected = algorithm(model, scale(SIGMA_MAX, drawNumber(-1)), sigmas, {}, reference.noises());
      expect(relativeError(sample(sampler, 'karras', 9, {}, predicts).result, expected)).toBeLessThan(1e-9);
    },
  );

  it('takes eta, churn and noise multipliers as k-diffusion does', () => {
    const options = { eta: 0.6, sChurn: 5, sTmin: 0.1, sTmax: 8, sNoise: 1.02 };
    const sigmas = karrasFor(sampler, 8);
    const model = reference.wrap(diffusionNetwork('epsilon'), 'epsilon');
    const given = { eta: 0.6, churn: 5, tMin: 0.1, tMax: 8, sNoise: 1.02 };
    const withNoise = sampler === 'heunpp2' || sampler === 'ddpm' ? {} : options;
    const expected = algorithm(model, scale(SIGMA_MAX, drawNumber(-1)), sigmas, given, reference.noises());
    expect(relativeError(sample(sampler, 'karras', 8, withNoise).result, expected)).toBeLessThan(1e-9);
  });

  it('starts image-to-image at the cut schedule', () => {
    const sigmas = karrasFor(sampler, 10).slice(10 - 6 - 1);
    const model = reference.wrap(diffusionNetwork('epsilon'), 'epsilon');
    const x = drawNumber(-1).map((value, i) => (INIT[i] ?? NaN) + value * (sigmas[0] ?? NaN));
    const expected = algorithm(model, x, sigmas, {}, reference.noises());
    const run = sample(sampler, 'karras', 10, {}, 'epsilon', { from: 'init', strength: 0.6 });
    expect(relativeError(run.result, expected)).toBeLessThan(1e-9);
  });
});

describe('restart', () => {
  it.each([20, 30, 36, 45])('goes back up once or twice from %i steps on', (steps) => {
    const sigmas = karrasFor('restart', steps);
    const model = reference.wrap(diffusionNetwork('epsilon'), 'epsilon');
    const x = scale(SIGMA_MAX, drawNumber(-1));
    const expected = reference.restart(model, x, sigmas, {}, reference.noises());
    expect(relativeError(sample('restart', 'karras', steps).result, expected)).toBeLessThan(1e-9);
  });
});

describe('DPM-Solver', () => {
  const model = reference.wrap(diffusionNetwork('epsilon'), 'epsilon');
  const x = scale(SIGMA_MAX, drawNumber(-1));

  it.each([1, 2, 3, 4, 6, 10, 11, 12])('fast spends %i evaluations', (steps) => {
    for (const eta of [0, 1]) {
      const run = sample('dpm_fast', 'automatic', steps, { eta });
      const expected = reference.dpmFast(model, x, [SIGMA_MAX, SIGMA_MIN], steps, eta, reference.noises());
      expect(run.evaluations).toBe(steps);
      expect(relativeError(run.result, expected)).toBeLessThan(1e-8);
    }
  });

  it.each([0, 1])('adaptive chooses the same steps at eta %d', (eta) => {
    const run = sample('dpm_adaptive', 'automatic', 20, { eta });
    const expected = reference.dpmAdaptive(model, x, [SIGMA_MAX, SIGMA_MIN], eta, reference.noises());
    expect(run.evaluations).toBe(expected.evaluations);
    expect(relativeError(run.result, expected.result)).toBeLessThan(1e-8);
  });

  it('leaves noise to be removed where the schedule of image-to-image ends', () => {
    const sigmas = karrasFor('dpm_fast', 10).slice(4);
    const noisy = drawNumber(-1).map((value, i) => (INIT[i] ?? NaN) + value * (sigmas[0] ?? NaN));
    const range: [number, number] = [sigmas[0] ?? NaN, sigmas.at(-2) ?? NaN];
    const expected = reference.dpmFast(model, noisy, range, sigmas.length - 1, 1, reference.noises());
    const run = sample('dpm_fast', 'karras', 10, {}, 'epsilon', { from: 'init', strength: 0.5 });
    expect(relativeError(run.result, expected)).toBeLessThan(1e-8);
  });
});

describe('samplers over timesteps', () => {
  const eps = diffusionNetwork('epsilon');
  const unconditional = diffusionNetwork('epsilon', unconditionalMean);

  it.each([
    [7, 0],
    [20, 0],
    [30, 0.7],
  ])('DDIM in %i steps at eta %d', (steps, eta) => {
    const expected = reference.ddim(
      eps,
      drawNumber(-1),
      reference.ddimTimesteps(steps),
      eta,
      reference.noises(),
    );
    for (const predicts of ['epsilon', 'v_prediction', 'sample'] as const) {
      expect(
        relativeError(sample('ddim', 'automatic', steps, { eta }, predicts).result, expected),
      ).toBeLessThan(ROUNDED);
    }
  });

  it('CFG++ goes back along the unconditional noise with a twelfth and a half of the guidance', () => {
    const mixed = (x: number[], t: number) => {
      const other = unconditional(x, t);
      return eps(x, t).map((value, i) => value / 12.5 + (other[i] ?? NaN) * (1 - 1 / 12.5));
    };
    const expected = reference.ddim(
      mixed,
      drawNumber(-1),
      reference.ddimTimesteps(10),
      0,
      reference.noises(),
      unconditional,
    );
    expect(relativeError(sample('ddim_cfgpp', 'automatic', 10).result, expected)).toBeLessThan(ROUNDED);
    expect(
      relativeError(sample('ddim_cfgpp', 'automatic', 10, {}, 'v_prediction').result, expected),
    ).toBeLessThan(ROUNDED);
  });

  it('PLMS', () => {
    const expected = reference.plms(eps, drawNumber(-1), reference.ddimTimesteps(10));
    expect(relativeError(sample('plms', 'automatic', 10).result, expected)).toBeLessThan(ROUNDED);
    expect(relativeError(sample('plms', 'automatic', 10, {}, 'v_prediction').result, expected)).toBeLessThan(
      ROUNDED,
    );
  });

  it('image-to-image is noised one level above the first one that runs, as in A1111', () => {
    const timesteps = reference.ddimTimesteps(10);
    const alpha = ALPHAS[timesteps[6] ?? 0] ?? NaN;
    const x = drawNumber(-1).map(
      (value, i) => Math.sqrt(alpha) * (INIT[i] ?? NaN) + Math.sqrt(1 - alpha) * value,
    );
    const expected = reference.ddim(eps, x, timesteps.slice(0, 6), 0, reference.noises());
    const run = sample('ddim', 'automatic', 10, {}, 'epsilon', { from: 'init', strength: 0.6 });
    expect(relativeError(run.result, expected)).toBeLessThan(ROUNDED);
  });

  /** log α of A1111's `NoiseScheduleVP`, linear between timesteps. */
  function logAlphaAt(time: number): number {
    const place = time * 1000 - 1;
    const low = Math.min(Math.max(Math.floor(place), 0), 998);
    const [a, b] = [Math.log(ALPHAS[low] ?? NaN) / 2, Math.log(ALPHAS[low + 1] ?? NaN) / 2];
    return a + (b - a) * (place - low);
  }

  const moments = (times: number[]): reference.Moment[] =>
    times.map((time) => ({
      logAlpha: logAlphaAt(time),
      image(x) {
        const noise = eps(x, (time - 1 / 1000) * 1000);
        const alpha = Math.exp(logAlphaAt(time));
        return x.map((value, i) => (value - Math.sqrt(1 - alpha ** 2) * (noise[i] ?? NaN)) / alpha);
      },
    }));

  it.each([
    { variant: 'bh1', order: 3, lowerOrderFinal: true },
    { variant: 'bh2', order: 3, lowerOrderFinal: true },
    { variant: 'bh1', order: 2, lowerOrderFinal: false },
    { variant: 'bh2', order: 1, lowerOrderFinal: true },
  ] as const)('UniPC $variant of order $order', (settings) => {
    const steps = 10;
    const times = Array.from({ length: steps + 1 }, (_, i) => 1 + (0.001 - 1) * (i / steps));
    const expected = reference.uniPc(drawNumber(-1), moments(times), settings);
    const run = sample('unipc', 'automatic', steps, {
      uniPcVariant: settings.variant,
      uniPcOrder: settings.order,
      uniPcLowerOrderFinal: settings.lowerOrderFinal,
    });
    expect(run.evaluations).toBe(steps);
    expect(relativeError(run.result, expected)).toBeLessThan(1e-8);
  });

  it('UniPC with varying coefficients', () => {
    const steps = 10;
    const times = Array.from({ length: steps + 1 }, (_, i) => 1 + (0.001 - 1) * (i / steps));
    for (const order of [1, 2, 3]) {
      const settings = { variant: 'vary_coeff', order, lowerOrderFinal: true } as const;
      const expected = reference.uniPc(drawNumber(-1), moments(times), settings);
      const run = sample('unipc', 'automatic', steps, { uniPcVariant: 'vary_coeff', uniPcOrder: order });
      expect(relativeError(run.result, expected)).toBeLessThan(1e-8);
    }
  });

  it('UniPC with quadratic times and with times even in log SNR', () => {
    const steps = 8;
    const settings = { variant: 'bh1', order: 3, lowerOrderFinal: true } as const;
    const quadratic = Array.from(
      { length: steps + 1 },
      (_, i) => (1 + (Math.sqrt(0.001) - 1) * (i / steps)) ** 2,
    );
    const run = sample('unipc', 'automatic', steps, { uniPcSkipType: 'time_quadratic' });
    expect(
      relativeError(run.result, reference.uniPc(drawNumber(-1), moments(quadratic), settings)),
    ).toBeLessThan(1e-8);

    const even = sample('unipc', 'automatic', steps, { uniPcSkipType: 'logSNR' }).planned.sigmas;
    const ratios = even.slice(1).map((sigma, i) => sigma / (even[i] ?? NaN));
    for (const ratio of ratios) expect(ratio).toBeCloseTo(ratios[0] ?? NaN, 9);
  });

  it("UniPC in ComfyUI's form over sigmas", () => {
    const table = [...reference.karras(9, SIGMA_MIN, SIGMA_MAX), 0];
    table.splice(-2, 1);
    const model = reference.wrap(diffusionNetwork('epsilon'), 'epsilon', sigmaTable(), true);
    const sigmas = table.map((sigma) => sigma || 0.001);
    const points: reference.Moment[] = sigmas.map((sigma) => ({
      logAlpha: -0.5 * Math.log1p(sigma ** 2),
      image: (x) => model(scale(Math.sqrt(1 + sigma ** 2), x), sigma),
    }));
    for (const [sampler, variant] of [
      ['uni_pc', 'bh1'],
      ['uni_pc_bh2', 'bh2'],
    ] as const) {
      const end = reference.uniPc(drawNumber(-1), points, { variant, order: 3, lowerOrderFinal: true });
      const expected = scale(Math.sqrt(1 + 0.001 ** 2), end);
      const run = sample(sampler, 'karras', 8, { reference: 'comfyui' });
      expect(relativeError(run.result, expected)).toBeLessThan(1e-8);
    }
  });
});

describe('the start', () => {
  it('has variance 1 + sigma² with the SGM noise multiplier, unless an image is there', () => {
    const start = (options: KDiffusionOptions, from: SamplingStart) => {
      const choice = { family: 'k-diffusion', sampler: 'euler', schedule: 'karras', options } as const;
      const [first] = planSampling(choice, { schedulerConfig: {} }, 10, from).program();
      return first;
    };
    const noise = { from: 'noise' } as const;
    const image = { from: 'init', strength: 1 } as const;
    const multiplied = { sgmNoiseMultiplier: true };
    const close = (weight: number) => expect.closeTo(weight, 9) as number;
    expect(start({}, noise)).toMatchObject({ terms: [[close(SIGMA_MAX), 'noise']] });
    expect(start(multiplied, noise)).toMatchObject({ terms: [[close(Math.hypot(1, SIGMA_MAX)), 'noise']] });
    for (const options of [{}, multiplied]) {
      expect(start(options, image)).toMatchObject({
        terms: [
          [1, 'init'],
          [close(SIGMA_MAX), 'noise'],
        ],
      });
    }
  });
});

describe("samplers of ComfyUI's and Fooocus's line", () => {
  const comfy = { reference: 'comfyui' } as const;
  const model = reference.wrap(diffusionNetwork('epsilon'), 'epsilon', sigmaTable(), true);
  const sigmas = [...reference.karras(8, SIGMA_MIN, SIGMA_MAX), 0];
  const start = scale(Math.sqrt(1 + SIGMA_MAX ** 2), drawNumber(-1));

  it('tell the network whole timesteps and start with variance 1 + sigma²', () => {
    const run = sample('euler', 'karras', 8, comfy);
    expect(run.timesteps.every(Number.isInteger)).toBe(true);
    expect(
      relativeError(run.result, reference.euler(model, start, sigmas, {}, reference.noises())),
    ).toBeLessThan(1e-9);
  });

  it('run ddim as euler', () => {
    expect(sample('ddim', 'karras', 8, comfy).result).toEqual(sample('euler', 'karras', 8, comfy).result);
  });

  it('run TCD', () => {
    const expected = reference.tcd(model, start, sigmas, reference.noises());
    expect(relativeError(sample('tcd', 'karras', 8, comfy).result, expected)).toBeLessThan(1e-9);
  });

  it('keep the steps asked for when an image is the start', () => {
    const run = sample('euler', 'karras', 8, comfy, 'epsilon', { from: 'init', strength: 0.5 });
    expect(run.evaluations).toBe(8);
    expect(run.planned.sigmas).toEqual(
      [...reference.karras(16, SIGMA_MIN, SIGMA_MAX), 0]
        .slice(-9)
        .map((sigma) => expect.closeTo(sigma, 10) as number),
    );
  });
});

describe('LCM', () => {
  it('uses the fifty distilled levels and the boundary conditions', () => {
    const run = sample('lcm', 'automatic', 4);
    const table = sigmaTable();
    const sigmas = [999, 672.3333333333333, 345.6666666666667, 19].map((timestep) => {
      const place = (timestep - 19) / 20;
      const [low, high] = [Math.floor(place), Math.ceil(place)];
      const [a, b] = [Math.log(table[19 + 20 * low] ?? NaN), Math.log(table[19 + 20 * high] ?? NaN)];
      return Math.exp(a + (b - a) * (place - low));
    });
    sigmas.push(0);
    const x = scale(sigmas[0] ?? NaN, drawNumber(-1));
    const expected = reference.lcm(diffusionNetwork('epsilon'), x, sigmas, reference.noises());
    expect(relativeError(run.result, expected)).toBeLessThan(1e-9);
    for (const timestep of run.timesteps) expect((timestep + 1) % 20).toBe(0);
  });
});
