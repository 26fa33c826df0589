/**
 * The forward process a network was trained on, as tables over its training timesteps, and the ways of
 * choosing which of its noise levels a run visits. Shared by both sampler families. Tables are rounded to
 * float32 where the reference programs round, so that timesteps and sigmas come out the same.
 */

export type BetaSchedule = 'linear' | 'scaled_linear' | 'squaredcos_cap_v2' | 'laplace' | 'exp' | 'sigmoid';

/** How the variance of the forward process grows, in the terms of diffusers' `config.json`. */
export interface BetaSpec {
  schedule: BetaSchedule;
  start: number;
  end: number;
  /** Number of training timesteps. */
  steps: number;
}

/**
 * Variances β of the forward process, one per training timestep.
 * Source: Ho et al. 2020 (linear), Rombach et al. 2022 (scaled linear), Nichol & Dhariwal 2021 (cosine);
 * the other curves as diffusers defines them in `betas_for_alpha_bar` and `DDPMScheduler`.
 */
export function makeBetas({ schedule, start, end, steps }: BetaSpec): Float32Array {
  switch (schedule) {
    case 'linear':
      return linspaceFloat32(start, end, steps);
    case 'scaled_linear':
      return linspaceFloat32(Math.sqrt(start), Math.sqrt(end), steps).map((root) => root * root);
    case 'sigmoid':
      return linspaceFloat32(-6, 6, steps).map(
        (x) => Math.fround(1 / (1 + Math.exp(-x))) * (end - start) + start,
      );
    case 'squaredcos_cap_v2':
    case 'laplace':
    case 'exp':
      return betasOfAlphaBar(ALPHA_BAR[schedule], steps);
  }
}

const ALPHA_BAR = {
  squaredcos_cap_v2: (t: number) => Math.cos((((t + 0.008) / 1.008) * Math.PI) / 2) ** 2,
  laplace: (t: number) => {
    const sign = t > 0.5 ? -1 : 1;
    const snr = Math.exp(-0.5 * sign * Math.log(1 - 2 * Math.abs(0.5 - t) + 1e-6));
    return Math.sqrt(snr / (1 + snr));
  },
  exp: (t: number) => Math.exp(-12 * t),
};

function betasOfAlphaBar(alphaBar: (t: number) => number, steps: number): Float32Array {
  return Float32Array.from({ length: steps }, (_, i) =>
    Math.min(1 - alphaBar((i + 1) / steps) / alphaBar(i / steps), 0.999),
  );
}

/** torch.linspace in float32, which counts up from the start and, past the middle, down from the end. */
export function linspaceFloat32(start: number, end: number, count: number): Float32Array {
  const { fround } = Math;
  const first = fround(start);
  const last = fround(end);
  const step = count > 1 ? fround(fround(last - first) / (count - 1)) : 0;
  return Float32Array.from({ length: count }, (_, i) =>
    i < count / 2 ? first + fround(step * i) : last - fround(step * (count - 1 - i)),
  );
}

/** ᾱ: the running product of 1 − β, accumulated in float64 and stored in float32 as torch does. */
export function cumulativeAlphas(betas: Float32Array): Float32Array {
  let product = 1;
  return betas.map((beta) => (product *= Math.fround(1 - beta)));
}

/**
 * β of the same process stretched so that the last timestep is pure noise (ᾱ = 0).
 * Source: Lin et al. 2023, "Common Diffusion Noise Schedules and Sample Steps are Flawed", algorithm 1.
 */
export function rescaleZeroTerminalSnr(betas: Float32Array): Float32Array {
  const { fround } = Math;
  const roots = cumulativeAlphas(betas).map(Math.sqrt);
  const first = roots[0] ?? 1;
  const last = roots.at(-1) ?? 0;
  const scale = fround(first / fround(first - last));
  const alphasCumprod = roots.map((root) => fround(fround(root - last) * scale) ** 2);
  return alphasCumprod.map((alpha, i) => 1 - fround(alpha / (i === 0 ? 1 : (alphasCumprod[i - 1] ?? 1))));
}

/** σ = √((1 − ᾱ) / ᾱ) of every training timestep: the noise level where the image itself has weight 1. */
export function sigmasOf(alphasCumprod: Float32Array): Float32Array {
  return alphasCumprod.map((alpha) => Math.sqrt(Math.fround(Math.fround(1 - alpha) / alpha)));
}

/** Value of a table at a whole or fractional index, linear between entries, constant beyond the ends. */
export function interpolate(table: ArrayLike<number>, index: number): number {
  const last = table.length - 1;
  const at = Math.min(Math.max(index, 0), last);
  const low = Math.floor(at);
  const from = table[low] ?? NaN;
  const to = table[Math.min(low + 1, last)] ?? NaN;
  return from + (to - from) * (at - low);
}

/** The timestep, generally fractional, at which a table of log σ (ascending) reaches log `sigma`. */
export function timestepOfSigma(sigma: number, logSigmas: ArrayLike<number>): number {
  const logSigma = Math.log(Math.max(sigma, 1e-10));
  let low = 0;
  let high = logSigmas.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((logSigmas[middle] ?? NaN) <= logSigma) low = middle;
    else high = middle;
  }
  const from = logSigmas[low] ?? NaN;
  const to = logSigmas[high] ?? NaN;
  const weight = Math.min(Math.max((logSigma - from) / (to - from), 0), 1);
  return low + weight * (high - low);
}

/** `count` numbers from `start` to `end`, both included. One number: `start`. */
export function linspace(start: number, end: number, count: number): number[] {
  const step = count > 1 ? (end - start) / (count - 1) : 0;
  return Array.from({ length: count }, (_, i) => (i > 0 && i === count - 1 ? end : start + i * step));
}

/** numpy's `arange` with a negative step: `start`, `start − step` … above `stop`. */
export function arangeDown(start: number, stop: number, step: number): number[] {
  const delta = start - step - start;
  return Array.from({ length: Math.ceil((stop - start) / -step) }, (_, i) => start + i * delta);
}

/** Rounds halves to even, as numpy and torch do. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const fraction = value - floor;
  if (fraction === 0.5) return floor % 2 === 0 ? floor : floor + 1;
  return Math.round(value);
}

/** σ evenly spaced in σ^(1/ρ), falling. Source: Karras et al. 2022, equation 5. */
export function karrasSigmas(count: number, sigmaMin: number, sigmaMax: number, rho = 7): number[] {
  const from = sigmaMax ** (1 / rho);
  const to = sigmaMin ** (1 / rho);
  return linspace(0, 1, count).map((ramp) => (from + ramp * (to - from)) ** rho);
}

/** σ evenly spaced in log σ, falling. */
export function exponentialSigmas(count: number, sigmaMin: number, sigmaMax: number): number[] {
  return linspace(Math.log(sigmaMax), Math.log(sigmaMin), count).map(Math.exp);
}

/** σ at the quantiles of a beta distribution, falling. Source: Lee et al. 2024, "Beta Sampling is All You Need". */
export function betaSigmas(
  count: number,
  sigmaMin: number,
  sigmaMax: number,
  alpha = 0.6,
  beta = 0.6,
): number[] {
  return linspace(0, 1, count).map(
    (u) => sigmaMin + betaQuantile(1 - u, alpha, beta) * (sigmaMax - sigmaMin),
  );
}

/** The value below which a beta-distributed number stays with probability `p` (scipy's `beta.ppf`). */
function betaQuantile(p: number, alpha: number, beta: number): number {
  if (p <= 0) return 0;
  if (p >= 1) return 1;
  let low = 0;
  let high = 1;
  // Bisection down to adjacent doubles near 0 needs many halvings; near 1 it stops early.
  for (let i = 0; i < 200; i++) {
    const middle = (low + high) / 2;
    if (middle === low || middle === high) break;
    if (betaDistribution(middle, alpha, beta) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/**
 * The regularised incomplete beta function.
 * Source: Abramowitz & Stegun 26.5.8, the continued fraction, evaluated by Lentz's method.
 */
function betaDistribution(x: number, a: number, b: number): number {
  if (x > (a + 1) / (a + b + 2)) return 1 - betaDistribution(1 - x, b, a);
  const front =
    Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x)) / a;
  let c = 1;
  let d = 1 / (1 - ((a + b) * x) / (a + 1));
  let fraction = d;
  for (let m = 1; m < 300; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / (1 + even * d);
    c = 1 + even / c;
    fraction *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / (1 + odd * d);
    c = 1 + odd / c;
    fraction *= d * c;
    if (Math.abs(d * c - 1) < 1e-16) break;
  }
  return front * fraction;
}

/** Logarithm of Γ for positive arguments: Stirling's series after shifting the argument above 10. */
function logGamma(x: number): number {
  let shift = 0;
  let z = x;
  for (; z < 10; z++) shift -= Math.log(z);
  const r = 1 / (z * z);
  const series =
    (1 / 12 - r * (1 / 360 - r * (1 / 1260 - r * (1 / 1680 - r * (1 / 1188 - (r * 691) / 360360))))) / z;
  return shift + (z - 0.5) * Math.log(z) - z + 0.5 * Math.log(2 * Math.PI) + series;
}
