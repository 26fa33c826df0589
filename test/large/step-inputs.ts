import { pseudoRandom } from '../support/random-weights.ts';

/** What an SD 1 UNet is given for one step of one image of this many cells a side; the same each time. */
export function stepInputs(side: number) {
  return {
    sample: { type: 'float32', data: pseudoRandom(4 * side * side, 1), dims: [1, 4, side, side] },
    timestep: { type: 'float32', data: Float32Array.of(500), dims: [1] },
    encoder_hidden_states: { type: 'float32', data: pseudoRandom(77 * 768, 2), dims: [1, 77, 768] },
  } as const;
}
