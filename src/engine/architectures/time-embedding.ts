import type { Graph, Value } from '#engine/graph/graph.ts';
import { activate, linear, type Activation } from '#engine/graph/layers.ts';
import { add, concat, cosine, multiply, sine } from '#engine/graph/operators.ts';

/** How timesteps become waves: the keys are those of the configuration. */
export interface Sinusoid {
  width: number;
  /** Cosines first. */
  flip_sin_to_cos: boolean;
  freq_shift: number;
}

/**
 * Sines and cosines of numbers at `width / 2` geometric frequencies: `[…]` to `[…, width]`. In float32 also in
 * float16 graphs: the angles reach 999. Source: diffusers, models/embeddings.py, get_timestep_embedding.
 */
export function sinusoidalEmbedding(
  graph: Graph,
  numbers: Value,
  { width, flip_sin_to_cos, freq_shift }: Sinusoid,
): Value {
  const half = width / 2;
  const frequencies = new Float32Array(half);
  // Rounded to float32 at each step, as the reference does.
  const period = Math.fround(-Math.log(10000));
  for (let i = 0; i < half; i++) {
    frequencies[i] = Math.exp(Math.fround(Math.fround(period * i) / (half - freq_shift)));
  }
  const column = graph.reshape(numbers, [...numbers.shape, 1]);
  const angles = multiply(graph, column, graph.floats(frequencies, [half], 'float32'));
  const waves = [sine(graph, angles), cosine(graph, angles)];
  return graph.cast(concat(graph, flip_sin_to_cos ? waves.reverse() : waves, -1), graph.precision);
}

/** Diffusers' TimestepEmbedding: two linear layers with an activation between, and a condition added before them. */
export function timestepEmbedding(
  graph: Graph,
  input: Value,
  name: string,
  { width, activation, condition }: { width: number; activation: Activation; condition?: Value | undefined },
): Value {
  const inputWidth = Number(input.shape.at(-1));
  const conditioned = condition
    ? add(graph, input, linear(graph, condition, `${name}.cond_proj`, { out: inputWidth, bias: false }))
    : input;
  const inner = linear(graph, conditioned, `${name}.linear_1`, { out: width });
  return linear(graph, activate(graph, inner, activation), `${name}.linear_2`, { out: width });
}
