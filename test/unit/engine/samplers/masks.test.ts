import { describe, expect, test } from 'vitest';
import { CpuMachine } from '#engine/samplers/cpu-machine.ts';
import { diffusersSchedulers } from '#engine/samplers/diffusers/index.ts';
import { execute } from '#engine/samplers/execute.ts';
import { planSampling } from '#engine/samplers/index.ts';
import { kDiffusionSamplers } from '#engine/samplers/k-diffusion/index.ts';
import { RESULT } from '#engine/samplers/program.ts';
import type { SamplingPlan, SamplingStart } from '#engine/samplers/sampling-plan.ts';
import type { KDiffusionOptions, SamplerChoice } from '#protocol/sampler.ts';
import {
  diffusionNetwork,
  drawNumber,
  FLOW,
  flowNetwork,
  increment,
  NUMBERS,
  relativeError,
  STABLE_DIFFUSION,
} from './k-diffusion/model.ts';

const STEPS = 10;

/** The analytic network, with cells that look at their neighbours: what is outside a mask matters inside. */
function spread(values: readonly number[]): number[] {
  return values.map((value, i) => 0.7 * value + 0.3 * (values[(i + 1) % values.length] ?? NaN));
}
const alone = diffusionNetwork('epsilon');
const network = (input: readonly number[], timestep: number) => spread(alone(input, timestep));

const INIT = Array.from({ length: NUMBERS }, (_, i) => Math.sin(2 * i + 1));
const NOISE = drawNumber(-1);
const MASK = INIT.map((_, i) => (i % 3 === 0 ? 0 : 1));
const EVERYWHERE = MASK.map(() => 1);

const diffusers = (scheduler: string): SamplerChoice => ({ family: 'diffusers', scheduler, config: {} });
const kDiffusion = (sampler: string, options: KDiffusionOptions = {}): SamplerChoice => ({
  family: 'k-diffusion',
  sampler,
  schedule: 'automatic',
  options,
});

const plan = (
  choice: SamplerChoice,
  start: SamplingStart,
  model = STABLE_DIFFUSION as Record<string, unknown>,
) => planSampling(choice, { schedulerConfig: model }, STEPS, start);

async function run(
  sampling: SamplingPlan,
  mask: readonly number[],
  predict: (input: readonly number[], timestep: number) => number[] = network,
): Promise<number[]> {
  let draws = 0;
  const machine = new CpuMachine({
    images: 1,
    noise: Float32Array.from(NOISE),
    init: Float32Array.from(INIT),
    mask: Float32Array.from(mask),
    nextNoise: () => Float32Array.from(drawNumber(draws++)),
    brownian: (from, to) => Float32Array.from(increment(from, to)),
    denoise: (input, { timestep }) => {
      const guided = Float32Array.from(predict([...input], timestep));
      return { guided, unconditional: guided.map((value) => value / 2) };
    },
  });
  await execute(sampling.program(), machine);
  return [...machine.read(RESULT)];
}

/** `a` where the mask is 1, `b` where it is 0. */
const blend = (a: readonly number[], b: readonly number[]) =>
  a.map((value, i) => ((MASK[i] ?? NaN) === 1 ? value : (b[i] ?? NaN)));
/** Σ weight · numbers. */
const sum = (...terms: (readonly [number, readonly number[]])[]) =>
  INIT.map((_, i) => terms.reduce((total, [weight, values]) => total + weight * (values[i] ?? NaN), 0));
/** Only what lies in the mask: the rest of a result is still to be blended. */
const inside = (values: readonly number[]) => values.filter((_, i) => MASK[i] === 1);

const FROM_IMAGE = { from: 'init', strength: 0.6 } as const;
const MASKED = { ...FROM_IMAGE, masked: true } as const;

describe('a mask that is 1 everywhere changes nothing', () => {
  const schedulers = Object.keys(diffusersSchedulers).filter((name) => name !== 'DDIMInverseScheduler');

  test.each(schedulers)('%s', async (name) => {
    const flow = name.startsWith('FlowMatch');
    const model = flow ? FLOW : STABLE_DIFFUSION;
    const predict = flow ? flowNetwork : network;
    const expected = await run(plan(diffusers(name), FROM_IMAGE, model), EVERYWHERE, predict);
    const actual = await run(plan(diffusers(name), MASKED, model), EVERYWHERE, predict);
    expect(relativeError(actual, expected)).toBeLessThan(1e-6);
  });

  test.each(
    Object.keys(kDiffusionSamplers).flatMap((name) => [
      { name, reference: 'a1111' as const },
      { name, reference: 'comfyui' as const },
    ]),
  )('$name of $reference', async ({ name, reference }) => {
    const choice = kDiffusion(name, { reference });
    const expected = await run(plan(choice, FROM_IMAGE), EVERYWHERE);
    expect(relativeError(await run(plan(choice, MASKED), EVERYWHERE), expected)).toBeLessThan(1e-6);
  });
});

describe('diffusers puts the noisy image back after each evaluation', () => {
  /** The noise that the latents of a sigma schedule hold. */
  const noiseAt = (x: readonly number[], sigma: number, timestep: number) =>
    network(sum([1 / Math.sqrt(sigma * sigma + 1), x]), timestep);
  const imageAt = (sigma: number) => sum([1, INIT], [sigma, NOISE]);

  test('EulerDiscreteScheduler', async () => {
    const sampling = plan(diffusers('EulerDiscreteScheduler'), MASKED);
    let x = imageAt(sampling.sigmas[0] ?? NaN);
    sampling.timesteps.forEach((timestep, i) => {
      const [sigma = NaN, next = NaN] = sampling.sigmas.slice(i);
      x = sum([1, x], [next - sigma, noiseAt(x, sigma, timestep)]);
      if (i < sampling.timesteps.length - 1) x = blend(x, imageAt(next));
    });
    expect(relativeError(inside(await run(sampling, MASK)), inside(x))).toBeLessThan(1e-5);
  });

  test('HeunDiscreteScheduler, in the middle of its steps too', async () => {
    const sampling = plan(diffusers('HeunDiscreteScheduler'), MASKED);
    const { sigmas, timesteps } = sampling;
    let x = imageAt(sigmas[0] ?? NaN);
    for (let i = 0, evaluation = 0; i < sigmas.length - 1; i++) {
      const [sigma = NaN, next = NaN] = sigmas.slice(i);
      const first = noiseAt(x, sigma, timesteps[evaluation++] ?? NaN);
      const ahead = sum([1, x], [next - sigma, first]);
      if (next === 0) {
        x = ahead;
        break;
      }
      const second = noiseAt(blend(ahead, imageAt(next)), next, timesteps[evaluation++] ?? NaN);
      x = blend(sum([1, x], [(next - sigma) / 2, first], [(next - sigma) / 2, second]), imageAt(next));
    }
    expect(relativeError(inside(await run(sampling, MASK)), inside(x))).toBeLessThan(1e-5);
  });

  test('at full strength the latents begin as noise, not as the image under it', () => {
    const [begin] = plan(diffusers('EulerDiscreteScheduler'), { ...MASKED, strength: 1 }).program();
    expect(begin).toMatchObject({ op: 'combine', to: 'x', terms: [[expect.any(Number), 'noise']] });
  });

  test('a scheduler that has no noise levels of its own says so before anything runs', () => {
    expect(() => plan(diffusers('DDIMInverseScheduler'), { ...MASKED, strength: 0.99 })).toThrow(
      expect.objectContaining({ code: 'unsupported_feature' }),
    );
  });
});

describe('A1111 and ComfyUI put the image back into the denoised one', () => {
  const denoised = (x: readonly number[], sigma: number, timestep: number) =>
    sum([1, x], [-sigma, network(sum([1 / Math.sqrt(sigma * sigma + 1), x]), timestep)]);

  test.each(['a1111', 'comfyui'] as const)('euler of %s', async (reference) => {
    const sampling = plan(kDiffusion('euler', { reference }), MASKED);
    const { sigmas, timesteps } = sampling;
    let x = sum([1, INIT], [sigmas[0] ?? NaN, NOISE]);
    timesteps.forEach((timestep, i) => {
      const [sigma = NaN, next = NaN] = sigmas.slice(i);
      const seen = reference === 'comfyui' ? blend(x, sum([1, INIT], [sigma, NOISE])) : x;
      const image = blend(denoised(seen, sigma, timestep), INIT);
      x = sum([next / sigma, x], [1 - next / sigma, image]);
    });
    expect(relativeError(await run(sampling, MASK), x)).toBeLessThan(1e-5);
  });

  test('ddim of a1111 looks at the clean image outside', async () => {
    const sampling = plan(kDiffusion('ddim'), MASKED);
    const alphas = sampling.sigmas.map((sigma) => 1 / (1 + sigma * sigma));
    // The first of the levels is one that A1111 only makes the image as noisy as.
    const [start] = sampling.program();
    let x = sum(
      ...(start?.op === 'combine' ? start.terms : []).map(
        ([weight, name]) => [weight, name === 'init' ? INIT : NOISE] as const,
      ),
    );
    sampling.timesteps.forEach((timestep, i) => {
      const [alpha = NaN, next = NaN] = alphas.slice(i);
      const noise = network(blend(x, INIT), timestep);
      const image = sum([1 / Math.sqrt(alpha), x], [-Math.sqrt((1 - alpha) / alpha), noise]);
      x = sum([Math.sqrt(next), image], [Math.sqrt(1 - next), noise]);
    });
    expect(relativeError(inside(await run(sampling, MASK)), inside(x))).toBeLessThan(1e-5);
  });
});
