import { ALPHAS, drawNumber, increment, sigmaTable } from './model.ts';
import type { Network } from './model.ts';

/**
 * The published algorithms once more, on plain arrays in float64 and in the formulas of the papers and reference
 * programs (λ and t instead of ratios of sigmas), to check the engine's against. Nothing is shared with it.
 */

type Vector = number[];
export type Denoise = (x: Vector, sigma: number) => Vector;

export interface Noises {
  next(): Vector;
}

export function noises(): Noises {
  let n = 0;
  return { next: () => drawNumber(n++) };
}

/** a·x + b·y + c·z … */
function sum(...terms: [number, Vector][]): Vector {
  const [, first] = terms[0] ?? [0, []];
  return first.map((_, i) =>
    terms.reduce((total, [weight, values]) => total + weight * (values[i] ?? NaN), 0),
  );
}

/** k-diffusion's wrapper around a network. */
export function wrap(
  network: Network,
  predicts: 'epsilon' | 'v_prediction' | 'sample',
  sigmas: readonly number[] = sigmaTable(),
  whole = false,
): Denoise {
  return (x, sigma) => {
    let t = 0;
    for (let i = 0; i + 1 < sigmas.length; i++) {
      const [a, b] = [Math.log(sigmas[i] ?? NaN), Math.log(sigmas[i + 1] ?? NaN)];
      const w = (Math.log(sigma) - a) / (b - a);
      if (w >= 0) t = i + Math.min(w, 1);
    }
    // The nearest in log sigma is the nearest fraction, for the table is piecewise linear in it.
    if (whole) t = Math.round(t);
    const cIn = 1 / Math.sqrt(sigma * sigma + 1);
    const out = network(
      x.map((value) => value * cIn),
      t,
    );
    if (predicts === 'epsilon') return sum([1, x], [-sigma, out]);
    if (predicts === 'sample') return out;
    return sum([1 / (sigma * sigma + 1), x], [-sigma * cIn, out]);
  };
}

const derivative = (x: Vector, denoised: Vector, sigma: number) =>
  sum([1 / sigma, x], [-1 / sigma, denoised]);

function ancestral(from: number, to: number, eta: number): [down: number, up: number] {
  if (eta === 0) return [to, 0];
  const up = Math.min(to, eta * Math.sqrt((to ** 2 * (from ** 2 - to ** 2)) / from ** 2));
  return [Math.sqrt(to ** 2 - up ** 2), up];
}

interface Options {
  eta?: number;
  churn?: number;
  tMin?: number;
  tMax?: number;
  sNoise?: number;
}

const at = (values: readonly number[], i: number) => values[i] ?? NaN;

/** Algorithm 2 of Karras et al. and its relatives. */
function churned(
  x: Vector,
  sigmas: readonly number[],
  i: number,
  o: Options,
  noise: Noises,
): [Vector, number] {
  const sigma = at(sigmas, i);
  const eps = noise.next();
  const inside = sigma >= (o.tMin ?? 0) && sigma <= (o.tMax ?? Infinity);
  const gamma = inside ? Math.min((o.churn ?? 0) / (sigmas.length - 1), Math.sqrt(2) - 1) : 0;
  const hat = sigma * (gamma + 1);
  return [sum([1, x], [(o.sNoise ?? 1) * Math.sqrt(hat ** 2 - sigma ** 2), eps]), hat];
}

type Sampler = (model: Denoise, x: Vector, sigmas: readonly number[], o: Options, noise: Noises) => Vector;

export const euler: Sampler = (model, x, sigmas, o, noise) => {
  for (let i = 0; i + 1 < sigmas.length; i++) {
    const [y, hat] = churned(x, sigmas, i, o, noise);
    x = sum([1, y], [at(sigmas, i + 1) - hat, derivative(y, model(y, hat), hat)]);
  }
  return x;
};

export const eulerAncestral: Sampler = (model, x, sigmas, { eta = 1, sNoise = 1 }, noise) => {
  for (let i = 0; i + 1 < sigmas.length; i++) {
    const [from, to] = [at(sigmas, i), at(sigmas, i + 1)];
    const [down, up] = ancestral(from, to, eta);
    x = sum([1, x], [down - from, derivative(x, model(x, from), from)]);
    if (to > 0) x = sum([1, x], [up * sNoise, noise.next()]);
  }
  return x;
};

export const heun: Sampler = (model, x, sigmas, o, noise) => {
  for (let i = 0; i + 1 < sigmas.length; i++) {
    const [y, hat] = churned(x, sigmas, i, o, noise);
    const to = at(sigmas, i + 1);
    const d = derivative(y, model(y, hat), hat);
    const y2 = sum([1, y], [to - hat, d]);
    x = to === 0 ? y2 : sum([1, y], [(to - hat) / 2, d], [(to - hat) / 2, derivative(y2, model(y2, to), to)]);
  }
  return x;
};

export const heunpp2: Sampler = (model, x, sigmas) => {
  const end = at(sigmas, sigmas.length - 1);
  for (let i = 0; i + 1 < sigmas.length; i++) {
    const [s0, s1, s2] = [at(sigmas, i), at(sigmas, i + 1), at(sigmas, i + 2)];
    const d = derivative(x, model(x, s0), s0);
    const x2 = sum([1, x], [s1 - s0, d]);
    if (s1 === end) {
      x = x2;
      continue;
    }
    const d2 = derivative(x2, model(x2, s1), s1);
    if (s2 === end) {
      const w2 = s1 / (2 * at(sigmas, 0));
      x = sum([1, x], [(s1 - s0) * (1 - w2), d], [(s1 - s0) * w2, d2]);
      continue;
    }
    const x3 = sum([1, x2], [s2 - s1, d2]);
    const d3 = derivative(x3, model(x3, s2), s2);
    const [w2, w3] = [s1 / (3 * at(sigmas, 0)), s2 / (3 * at(sigmas, 0))];
    x = sum([1, x], [(s1 - s0) * (1 - w2 - w3), d], [(s1 - s0) * w2, d2], [(s1 - s0) * w3, d3]);
  }
  return x;
};

export const dpm2: Sampler = (model, x, sigmas, o, noise) => {
  for (let i = 0; i + 1 < sigmas.length; i++) {
    const [y, hat] = churned(x, sigmas, i, o, noise);
    const to = at(sigmas, i + 1);
    const d = derivative(y, model(y, hat), hat);
    if (to === 0) {
      x = sum([1, y], [to - hat, d]);
      continue;
    }
    const mid = Math.exp((Math.log(hat) + Math.log(to)) / 2);
    const y2 = sum([1, y], [mid - hat, d]);
    x = sum([1, y], [to - hat, derivative(y2, model(y2, mid), mid)]);
  }
  return x;
};

export const dpm2Ancestral: Sampler = (model, x, sigmas, { eta = 1, sNoise = 1 }, noise) => {
  for (let i = 0; i + 1 < sigmas.length; i++) {
    const [from, to] = [at(sigmas, i), at(sigmas, i + 1)];
    const [down, up] = ancestral(from, to, eta);
    const d = derivative(x, model(x, from), from);
    if (down === 0) {
      x = sum([1, x], [down - from, d]);
      continue;
    }
    const mid = Math.exp((Math.log(from) + Math.log(down)) / 2);
    const x2 = sum([1, x], [mid - from, d]);
    x = sum([1, x], [down - from, derivative(x2, model(x2, mid), mid)], [up * sNoise, noise.next()]);
  }
  return x;
};

/** Integral of the Lagrange basis by the composite Simpson rule, finely. */
function lagrangeIntegral(nodes: readonly number[], j: number, from: number, to: number): number {
  const basis = (tau: number) =>
    nodes.reduce(
      (product, node, k) => (k === j ? product : (product * (tau - node)) / (at(nodes, j) - node)),
      1,
    );
  const pieces = 200;
  const h = (to - from) / pieces;
  let total = 0;
  for (let i = 0; i < pieces; i++) {
    const a = from + i * h;
    total += (h / 6) * (basis(a) + 4 * basis(a + h / 2) + basis(a + h));
  }
  return total;
}

export const lms: Sampler = (model, x, sigmas) => {
  const history: { sigma: number; d: Vector }[] = [];
  for (let i = 0; i + 1 < sigmas.length; i++) {
    const from = at(sigmas, i);
    history.unshift({ sigma: from, d: derivative(x, model(x, from), from) });
    history.length = Math.min(history.length, 4);
    const nodes = history.map(({ sigma }) => sigma);
    const terms = history.map(({ d }, j): [number, Vector] => [
      lagrangeIntegral(nodes, j, from, at(sigmas, i + 1)),
      d,
    ]);
    x = sum([1, x], ...terms);
  }
  return x;
};

const t = (sigma: number) => -Math.log(sigma);
const sigmaOfT = (time: number) => Math.exp(-time);

/** Exponential integrator step in t = −log sigma towards a constant denoised image. */
const towards = (x: Vector, denoised: Vector, from: number, to: number) =>
  sum([sigmaOfT(to) / sigmaOfT(from), x], [-Math.expm1(-(to - from)), denoised]);

export const dpmpp2sAncestral: Sampler = (model, x, sigmas, { eta = 1, sNoise = 1 }, noise) => {
  for (let i = 0; i + 1 < sigmas.length; i++) {
    const [from, to] = [at(sigmas, i), at(sigmas, i + 1)];
    const [down, up] = ancestral(from, to, eta);
    const denoised = model(x, from);
    if (down === 0) {
      x = sum([1, x], [down - from, derivative(x, denoised, from)]);
    } else {
      const s = t(from) + (t(down) - t(from)) / 2;
      const x2 = towards(x, denoised, t(from), s);
      x = towards(x, model(x2, sigmaOfT(s)), t(from), t(down));
    }
    if (to > 0) x = sum([1, x], [up * sNoise, noise.next()]);
  }
  return x;
};

export const dpmppSde: Sampler = (model, x, sigmas, { eta = 1, sNoise = 1 }) => {
  for (let i = 0; i + 1 < sigmas.length; i++) {
    const [from, to] = [at(sigmas, i), at(sigmas, i + 1)];
    const denoised = model(x, from);
    if (to === 0) {
      x = sum([1, x], [to - from, derivative(x, denoised, from)]);
      continue;
    }
    const mid = sigmaOfT((t(from) + t(to)) / 2);
    const [down1, up1] = ancestral(from, mid, eta);
    const x2 = sum([1, towards(x, denoised, t(from), t(down1))], [sNoise * up1, increment(from, mid)]);
    const denoised2 = model(x2, mid);
    const [down2, up2] = ancestral(from, to, eta);
    x = sum([1, towards(x, denoised2, t(from), t(down2))], [sNoise * up2, increment(from, to)]);
  }
  return x;
};

export const dpmpp2m: Sampler = (model, x, sigmas) => {
  let old: Vector | undefined;
  for (let i = 0; i + 1 < sigmas.length; i++) {
    const [from, to] = [at(sigmas, i), at(sigmas, i + 1)];
    const denoised = model(x, from);
    if (!old || to === 0) {
      x = to === 0 ? denoised : towards(x, denoised, t(from), t(to));
    } else {
      const r = (t(from) - t(at(sigmas, i - 1))) / (t(to) - t(from));
      x = towards(x, sum([1 + 1 / (2 * r), denoised], [-1 / (2 * r), old]), t(from), t(to));
    }
    old = denoised;
  }
  return x;
};

const dpmpp2mSdeWith =
  (solver: 'midpoint' | 'heun'): Sampler =>
  (model, x, sigmas, { eta = 1, sNoise = 1 }) => {
    let old: Vector | undefined;
    let hLast = NaN;
    for (let i = 0; i + 1 < sigmas.length; i++) {
      const [from, to] = [at(sigmas, i), at(sigmas, i + 1)];
      const denoised = model(x, from);
      if (to === 0) return denoised;
      const h = t(to) - t(from);
      const q = -h - eta * h;
      x = sum([(to / from) * Math.exp(-eta * h), x], [-Math.expm1(q), denoised]);
      if (old) {
        const r = hLast / h;
        const weight = solver === 'heun' ? -Math.expm1(q) / q + 1 : -0.5 * Math.expm1(q);
        x = sum([1, x], [weight / r, denoised], [-weight / r, old]);
      }
      x = sum([1, x], [to * Math.sqrt(-Math.expm1(-2 * eta * h)) * sNoise, increment(from, to)]);
      old = denoised;
      hLast = h;
    }
    return x;
  };

export const dpmpp2mSde = dpmpp2mSdeWith('midpoint');
export const dpmpp2mSdeHeun = dpmpp2mSdeWith('heun');

export const dpmpp3mSde: Sampler = (model, x, sigmas, { eta = 1, sNoise = 1 }) => {
  const past: { denoised: Vector; h: number }[] = [];
  for (let i = 0; i + 1 < sigmas.length; i++) {
    const [from, to] = [at(sigmas, i), at(sigmas, i + 1)];
    const denoised = model(x, from);
    if (to === 0) return denoised;
    const h = t(to) - t(from);
    const hEta = h * (eta + 1);
    x = sum([Math.exp(-hEta), x], [-Math.expm1(-hEta), denoised]);
    const phi2 = Math.expm1(-hEta) / hEta + 1;
    const phi3 = phi2 / hEta - 0.5;
    const [one, two] = past;
    if (one && two) {
      const [r0, r1] = [one.h / h, two.h / h];
      const d10 = sum([1 / r0, denoised], [-1 / r0, one.denoised]);
      const d11 = sum([1 / r1, one.denoised], [-1 / r1, two.denoised]);
      const d1 = sum([1 + r0 / (r0 + r1), d10], [-r0 / (r0 + r1), d11]);
      const d2 = sum([1 / (r0 + r1), d10], [-1 / (r0 + r1), d11]);
      x = sum([1, x], [phi2, d1], [-phi3, d2]);
    } else if (one) {
      x = sum([1, x], [(phi2 * h) / one.h, denoised], [(-phi2 * h) / one.h, one.denoised]);
    }
    x = sum([1, x], [to * Math.sqrt(-Math.expm1(-2 * h * eta)) * sNoise, increment(from, to)]);
    past.unshift({ denoised, h });
  }
  return x;
};

/** DPM-Solver of orders 1 to 3 in the noise prediction form of its paper. */
function dpmSolverSteps(model: Denoise) {
  const eps = (x: Vector, time: number) => derivative(x, model(x, sigmaOfT(time)), sigmaOfT(time));
  return {
    eps,
    one: (x: Vector, e: Vector, from: number, to: number) =>
      sum([1, x], [-sigmaOfT(to) * Math.expm1(to - from), e]),
    two(x: Vector, e: Vector, from: number, to: number, r1 = 1 / 2): Vector {
      const h = to - from;
      const s1 = from + r1 * h;
      const e1 = eps(sum([1, x], [-sigmaOfT(s1) * Math.expm1(r1 * h), e]), s1);
      const k = sigmaOfT(to) * Math.expm1(h);
      return sum([1, x], [-k, e], [-k / (2 * r1), e1], [k / (2 * r1), e]);
    },
    three(x: Vector, e: Vector, from: number, to: number): Vector {
      const [r1, r2, h] = [1 / 3, 2 / 3, to - from];
      const [s1, s2] = [from + r1 * h, from + r2 * h];
      const e1 = eps(sum([1, x], [-sigmaOfT(s1) * Math.expm1(r1 * h), e]), s1);
      const bend = sigmaOfT(s2) * (r2 / r1) * (Math.expm1(r2 * h) / (r2 * h) - 1);
      const u2 = sum([1, x], [-sigmaOfT(s2) * Math.expm1(r2 * h), e], [-bend, e1], [bend, e]);
      const e2 = eps(u2, s2);
      const last = (sigmaOfT(to) / r2) * (Math.expm1(h) / h - 1);
      return sum([1, x], [-sigmaOfT(to) * Math.expm1(h), e], [-last, e2], [last, e]);
    },
  };
}

export function dpmFast(
  model: Denoise,
  x: Vector,
  range: [number, number],
  nfe: number,
  eta: number,
  noise: Noises,
): Vector {
  const [start, end] = [t(range[0]), t(range[1])];
  const steps = dpmSolverSteps(model);
  const m = Math.floor(nfe / 3) + 1;
  const orders =
    nfe % 3 === 0 ? [...Array<number>(m - 2).fill(3), 2, 1] : [...Array<number>(m - 1).fill(3), nfe % 3];
  for (const [i, order] of orders.entries()) {
    const [from, to] = [start + ((end - start) * i) / m, start + ((end - start) * (i + 1)) / m];
    const [down] = ancestral(sigmaOfT(from), sigmaOfT(to), eta);
    const goal = eta > 0 ? Math.min(end, t(down)) : to;
    const e = steps.eps(x, from);
    if (order === 1) x = steps.one(x, e, from, goal);
    else if (order === 2) x = steps.two(x, e, from, goal);
    else x = steps.three(x, e, from, goal);
    const up = Math.sqrt(Math.max(sigmaOfT(to) ** 2 - sigmaOfT(goal) ** 2, 0));
    if (eta > 0) x = sum([1, x], [up, noise.next()]);
  }
  return x;
}

export function dpmAdaptive(
  model: Denoise,
  x: Vector,
  range: [number, number],
  eta: number,
  noise: Noises,
): { result: Vector; evaluations: number } {
  const [start, end] = [t(range[0]), t(range[1])];
  const steps = dpmSolverSteps(model);
  let [s, h, previous, evaluations] = [start, 0.05, x, 0];
  while (s < end - 1e-5) {
    const to = Math.min(end, s + h);
    const [down] = ancestral(sigmaOfT(s), sigmaOfT(to), eta);
    const goal = eta > 0 ? Math.min(end, t(down)) : to;
    const e = steps.eps(x, s);
    const low = steps.two(x, e, s, goal, 1 / 3);
    const high = steps.three(x, e, s, goal);
    evaluations += 3;
    let squares = 0;
    for (const [i, value] of low.entries()) {
      const delta = Math.max(0.0078, 0.05 * Math.max(Math.abs(value), Math.abs(at(previous, i))));
      squares += ((value - at(high, i)) / delta) ** 2;
    }
    const error = Math.sqrt(squares / low.length);
    const factor = 1 + Math.atan((1 / (error + 1e-8)) ** (1 / (eta > 0 ? 1.5 : 3)) - 1);
    h *= factor;
    if (factor >= 0.81) {
      previous = low;
      x = high;
      const up = Math.sqrt(Math.max(sigmaOfT(to) ** 2 - sigmaOfT(goal) ** 2, 0));
      if (eta > 0) x = sum([1, x], [up, noise.next()]);
      s = to;
    }
  }
  return { result: x, evaluations };
}

export function karras(n: number, min: number, max: number, rho = 7): number[] {
  return Array.from({ length: n }, (_, i) => {
    const ramp = n > 1 ? i / (n - 1) : 0;
    return (max ** (1 / rho) + ramp * (min ** (1 / rho) - max ** (1 / rho))) ** rho;
  });
}

export const restart: Sampler = (model, x, sigmas, { sNoise = 1 }, noise) => {
  const steps = sigmas.length - 1;
  let schedule = [...sigmas];
  let plan: { steps: number; times: number } | null = null;
  if (steps >= 20) {
    plan = steps >= 36 ? { steps: Math.floor(steps / 4), times: 2 } : { steps: 9, times: 1 };
    schedule = [...karras(steps - plan.steps * plan.times, at(sigmas, steps - 1), at(sigmas, 0)), 0];
  }
  const closest = (wanted: number) =>
    schedule.reduce(
      (best, sigma, i) => (Math.abs(sigma - wanted) < Math.abs(at(schedule, best) - wanted) ? i : best),
      0,
    );
  const list: [number, number][] = [];
  for (let i = 0; i + 1 < schedule.length; i++) {
    list.push([at(schedule, i), at(schedule, i + 1)]);
    if (plan && i + 1 === closest(0.1)) {
      const again = karras(plan.steps + 1, at(schedule, i + 1), at(schedule, closest(2)));
      for (let k = 0; k < plan.times; k++) {
        for (let j = 0; j + 1 < again.length; j++) list.push([at(again, j), at(again, j + 1)]);
      }
    }
  }
  let last = Infinity;
  for (const [from, to] of list) {
    if (last < from) x = sum([1, x], [sNoise * Math.sqrt(from ** 2 - last ** 2), noise.next()]);
    x = heun(model, x, [from, to], {}, { next: () => x });
    last = to;
  }
  return x;
};

/** LCM with the boundary conditions of the distilled model, as A1111 wraps it. */
export function lcm(network: Network, x: Vector, sigmas: readonly number[], noise: Noises): Vector {
  const levels = Array.from({ length: 50 }, (_, i) => at(sigmaTable(), 19 + 20 * i));
  for (let i = 0; i + 1 < sigmas.length; i++) {
    const sigma = at(sigmas, i);
    const distances = levels.map((level) => Math.abs(Math.log(level) - Math.log(sigma)));
    const timestep = distances.indexOf(Math.min(...distances)) * 20 + 19;
    const cIn = 1 / Math.sqrt(1 + sigma ** 2);
    const eps = network(
      x.map((value) => value * cIn),
      timestep,
    );
    const scaled = timestep * 10;
    const cSkip = 0.25 / (scaled ** 2 + 0.25);
    const cOut = scaled / Math.sqrt(scaled ** 2 + 0.25);
    const denoised = sum([cOut, sum([1, x], [-sigma, eps])], [cSkip, x]);
    const to = at(sigmas, i + 1);
    x = to > 0 ? sum([1, denoised], [to, noise.next()]) : denoised;
  }
  return x;
}

export function tcd(model: Denoise, x: Vector, sigmas: readonly number[], noise: Noises, eta = 0.3): Vector {
  const table = sigmaTable();
  const timestep = (sigma: number) =>
    table.reduce(
      (best, level, i) =>
        Math.abs(Math.log(level / sigma)) < Math.abs(Math.log(at(table, best) / sigma)) ? i : best,
      0,
    );
  for (let i = 0; i + 1 < sigmas.length; i++) {
    const [from, to] = [at(sigmas, i), at(sigmas, i + 1)];
    const alpha = at(ALPHAS, to === 0 ? 0 : Math.floor((1 - eta) * timestep(to)));
    const denoised = model(x, from);
    const eps = derivative(x, denoised, from);
    x = sum([Math.sqrt(alpha), denoised], [Math.sqrt(1 - alpha), eps]);
    x =
      to > 0
        ? sum([1 / Math.sqrt(alpha), x], [Math.sqrt(Math.max(to ** 2 + 1 - 1 / alpha, 0)), noise.next()])
        : sum([Math.sqrt(1 + to ** 2), x]);
  }
  return x;
}

export const ddpm: Sampler = (model, x, sigmas, _, noise) => {
  for (let i = 0; i + 1 < sigmas.length; i++) {
    const [from, to] = [at(sigmas, i), at(sigmas, i + 1)];
    const bar = 1 / (from ** 2 + 1);
    const barPrevious = 1 / (to ** 2 + 1);
    const alpha = bar / barPrevious;
    const eps = derivative(x, model(x, from), from);
    const scaled = sum([1 / Math.sqrt(1 + from ** 2), x]);
    let mu = sum([1 / Math.sqrt(alpha), scaled], [-(1 - alpha) / Math.sqrt(alpha) / Math.sqrt(1 - bar), eps]);
    if (to > 0) {
      mu = sum([1, mu], [Math.sqrt(((1 - alpha) * (1 - barPrevious)) / (1 - bar)), noise.next()]);
    }
    x = sum([Math.sqrt(1 + to ** 2), mu]);
  }
  return x;
};

export type Eps = (x: Vector, timestep: number) => Vector;

/** A1111's timesteps, rising. */
export function ddimTimesteps(steps: number): number[] {
  const list: number[] = [];
  for (let i = 0; i < 1000; i += Math.floor(1000 / steps)) list.push(Math.min(i + 1, 999));
  return list;
}

export function ddim(
  eps: Eps,
  x: Vector,
  timesteps: readonly number[],
  eta: number,
  noise: Noises,
  direction = eps,
): Vector {
  for (let index = timesteps.length - 1; index > 0; index--) {
    const now = at(timesteps, index);
    const [a, previous] = [at(ALPHAS, now), at(ALPHAS, at(timesteps, index - 1))];
    const sigma = eta * Math.sqrt(((1 - previous) / (1 - a)) * (1 - a / previous));
    const e = eps(x, now);
    const back = direction === eps ? e : direction(x, now);
    const x0 = sum([1 / Math.sqrt(a), x], [-Math.sqrt(1 - a) / Math.sqrt(a), e]);
    x = sum([Math.sqrt(previous), x0], [Math.sqrt(1 - previous - sigma ** 2), back], [sigma, noise.next()]);
  }
  return x;
}

export function plms(eps: Eps, x: Vector, timesteps: readonly number[]): Vector {
  const old: Vector[] = [];
  for (let index = timesteps.length - 1; index > 0; index--) {
    const [now, next] = [at(timesteps, index), at(timesteps, index - 1)];
    const [a, previous] = [at(ALPHAS, now), at(ALPHAS, next)];
    const step = (e: Vector) => {
      const x0 = sum([1 / Math.sqrt(a), x], [-Math.sqrt((1 - a) / a), e]);
      return sum([Math.sqrt(previous), x0], [Math.sqrt(1 - previous), e]);
    };
    const e = eps(x, now);
    const [e1 = [], e2 = [], e3 = []] = old;
    let prime: Vector;
    if (old.length === 0) prime = sum([1 / 2, e], [1 / 2, eps(step(e), next)]);
    else if (old.length === 1) prime = sum([3 / 2, e], [-1 / 2, e1]);
    else if (old.length === 2) prime = sum([23 / 12, e], [-16 / 12, e1], [5 / 12, e2]);
    else prime = sum([55 / 24, e], [-59 / 24, e1], [37 / 24, e2], [-9 / 24, e3]);
    x = step(prime);
    old.unshift(e);
    old.length = Math.min(old.length, 3);
  }
  return x;
}

/** A moment of UniPC: log α and σ of the variance-preserving latents. */
export interface Moment {
  logAlpha: number;
  /** The denoised image of latents there. */
  image(x: Vector): Vector;
}

/** UniPC of Zhao et al. in the paper's matrices; orders up to 3. */
export function uniPc(
  x: Vector,
  moments: readonly Moment[],
  settings: { order: number; variant: 'bh1' | 'bh2' | 'vary_coeff'; lowerOrderFinal: boolean },
): Vector {
  const steps = moments.length - 1;
  const lambda = (m: Moment) => m.logAlpha - Math.log(spread(m));
  const spread = (m: Moment) => Math.sqrt(1 - Math.exp(2 * m.logAlpha));
  const known: { moment: Moment; image: Vector }[] = [];
  const [first] = moments;
  if (first) known.unshift({ moment: first, image: first.image(x) });
  for (let step = 1; step <= steps; step++) {
    const target = moments[step];
    const [newest] = known;
    if (!target || !newest) throw new Error('No such moment.');
    let order = Math.min(step, settings.order);
    if (step >= settings.order && settings.lowerOrderFinal) order = Math.min(order, steps + 1 - step);
    const h = lambda(target) - lambda(newest.moment);
    const older = known.slice(1, order);
    const rks = older.map(({ moment }) => (lambda(moment) - lambda(newest.moment)) / h);
    const d1s = older.map(({ image }, i) => sum([1 / at(rks, i), image], [-1 / at(rks, i), newest.image]));
    const hh = -h;
    const alpha = Math.exp(target.logAlpha);
    const base = sum([spread(target) / spread(newest.moment), x], [-alpha * Math.expm1(hh), newest.image]);
    if (settings.variant === 'vary_coeff') {
      const functions = [Math.expm1(hh)];
      const factorials = [1, 2, 6];
      for (let k = 1; k <= order; k++) {
        functions.push(at(functions, k - 1) / hh - 1 / at(factorials, k - 1));
      }
      const inverseOf = (nodes: number[]) =>
        inverse(nodes.map((node) => nodes.map((_, k) => node ** k / at(factorials, k))));
      const along = (rows: number[][]) =>
        rows.flatMap((row, k) =>
          d1s.map((d, j): [number, Vector] => [-alpha * at(functions, k + 1) * at(row, j), d]),
        );
      const predicted = sum([1, base], ...along(inverseOf(rks)));
      if (step === steps) return predicted;
      const image = target.image(predicted);
      const rows = inverseOf([...rks, 1]);
      const last = at(rows[Math.max(order - 2, 0)] ?? [], order - 1);
      const change = sum([1, image], [-1, newest.image]);
      x = sum([1, base], ...along(rows.slice(0, -1)), [-alpha * at(functions, order) * last, change]);
      known.unshift({ moment: target, image });
      continue;
    }
    const bh = settings.variant === 'bh1' ? hh : Math.expm1(hh);
    const phi: number[] = [];
    let [phiK, factorial] = [Math.expm1(hh) / hh - 1, 1];
    for (let i = 1; i <= order; i++) {
      phi.push((phiK * factorial) / bh);
      factorial *= i + 1;
      phiK = phiK / hh - 1 / factorial;
    }
    const predictor = order === 2 ? [0.5] : vandermonde(rks, phi);
    const predicted = sum(
      [1, base],
      ...d1s.map((d, i): [number, Vector] => [-alpha * bh * at(predictor, i), d]),
    );
    if (step === steps) return predicted;
    const image = target.image(predicted);
    const corrector = order === 1 ? [0.5] : vandermonde([...rks, 1], phi);
    const change = sum([1, image], [-1, newest.image]);
    x = sum(
      [1, base],
      ...[...d1s, change].map((d, i): [number, Vector] => [-alpha * bh * at(corrector, i), d]),
    );
    known.unshift({ moment: target, image });
  }
  return x;
}

/** By cofactors. */
function inverse(m: readonly (readonly number[])[]): number[][] {
  const whole = determinant(m);
  return m.map((_, i) =>
    m.map((__, j) => {
      const minor = m.filter((___, row) => row !== j).map((row) => row.filter((___, column) => column !== i));
      return ((i + j) % 2 === 0 ? 1 : -1) * (determinant(minor) / whole);
    }),
  );
}

/** ρ with Σ ρ_j · nodes_j^i = right_i, by Cramer's rule for up to three unknowns. */
function vandermonde(nodes: readonly number[], right: readonly number[]): number[] {
  const matrix = nodes.map((_, i) => nodes.map((node) => node ** i));
  const whole = determinant(matrix);
  return nodes.map((_, j) => {
    const replaced = matrix.map((row, i) => row.map((value, k) => (k === j ? at(right, i) : value)));
    return determinant(replaced) / whole;
  });
}

function determinant(m: readonly (readonly number[])[]): number {
  const [first = []] = m;
  if (m.length === 0) return 1;
  return first.reduce((total, value, j) => {
    const minor = m.slice(1).map((row) => row.filter((_, k) => k !== j));
    return total + (j % 2 === 0 ? 1 : -1) * value * determinant(minor);
  }, 0);
}
