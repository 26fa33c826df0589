import type { Graph, Value } from '#engine/graph/graph.ts';
import {
  activate,
  conv2d,
  groupNorm,
  linear,
  type Activation,
  type NormaliseGroups,
} from '#engine/graph/layers.ts';
import { add, multiply, scale, split } from '#engine/graph/operators.ts';

export interface ResnetSettings {
  groups: number;
  epsilon: number;
  activation: Activation;
  /** `scale_shift` lets the timestep scale the second norm instead of being added before it. */
  timeScaleShift: 'default' | 'scale_shift';
  /** The sum is divided by this. */
  outputScale: number;
  /** How the norms normalise; by what they see unless given. */
  normalise?: NormaliseGroups;
}

/**
 * Diffusers' ResnetBlock2D: norm, activation, convolution, twice, around a shortcut. `time` is the embedded
 * timestep after its activation, `[1 or batch, width]`, or undefined in autoencoders.
 * Source: diffusers, models/resnet.py.
 */
export function resnetBlock(
  graph: Graph,
  input: Value,
  name: string,
  { out, time, settings }: { out: number; time?: Value | undefined; settings: ResnetSettings },
): Value {
  const { activation, timeScaleShift, outputScale } = settings;
  const normed = groupNorm(graph, input, `${name}.norm1`, settings);
  let hidden = conv2d(graph, activate(graph, normed, activation), `${name}.conv1`, { out });
  const scaleAndShift = timeScaleShift === 'scale_shift';
  const width = scaleAndShift ? 2 * out : out;
  const projected = time && linear(graph, time, `${name}.time_emb_proj`, { out: width });
  const embedded = projected && graph.reshape(projected, [projected.shape[0] ?? 1, width, 1, 1]);
  if (embedded && !scaleAndShift) hidden = add(graph, hidden, embedded);
  hidden = groupNorm(graph, hidden, `${name}.norm2`, settings);
  if (embedded && scaleAndShift) {
    const [factor, shift = factor] = split(graph, embedded, 2, 1);
    hidden = add(graph, multiply(graph, hidden, add(graph, factor, graph.floats([1], []))), shift);
  }
  hidden = conv2d(graph, activate(graph, hidden, activation), `${name}.conv2`, { out });
  const shortcut =
    input.shape[1] === out ? input : conv2d(graph, input, `${name}.conv_shortcut`, { out, kernel: 1 });
  return scale(graph, add(graph, shortcut, hidden), 1 / outputScale);
}
