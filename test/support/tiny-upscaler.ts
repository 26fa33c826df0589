import type { TensorSource } from '#weights/tensor-source.ts';
import { randomTensors, tensorsOf } from './random-weights.ts';
import { fileOf } from './tiny-packs.ts';

const [FEATURES, GROWTH] = [4, 2];

/** The tensors of an RRDBNet of two blocks that upscales `scale` times. */
export function tinyUpscalerShapes(scale: 1 | 2 | 4): Record<string, number[]> {
  const shapes: Record<string, number[]> = {};
  const conv = (name: string, out: number, channels: number) => {
    shapes[`${name}.weight`] = [out, channels, 3, 3];
    shapes[`${name}.bias`] = [out];
  };
  conv('conv_first', FEATURES, 3 * (4 / scale) ** 2);
  for (const block of [0, 1]) {
    for (const dense of [1, 2, 3]) {
      for (const index of [1, 2, 3, 4]) {
        conv(`body.${block}.rdb${dense}.conv${index}`, GROWTH, FEATURES + (index - 1) * GROWTH);
      }
      conv(`body.${block}.rdb${dense}.conv5`, FEATURES, FEATURES + 4 * GROWTH);
    }
  }
  for (const name of ['conv_body', 'conv_up1', 'conv_up2', 'conv_hr']) conv(name, FEATURES, FEATURES);
  conv('conv_last', 3, FEATURES);
  return shapes;
}

/** The names of its modules in ESRGAN's own program, before BasicSR. */
export function trunkNames(name: string): string {
  return name
    .replace(/^body\.(\d+)\.rdb/, 'RRDB_trunk.$1.RDB')
    .replace(/^conv_body/, 'trunk_conv')
    .replace(/^conv_hr/, 'HRconv')
    .replace(/^conv_up/, 'upconv');
}

/** Such a network with pseudo-random weights, whose images lie around a middle grey. */
export function tinyUpscaler(scale: 1 | 2 | 4 = 4): TensorSource {
  const tensors = randomTensors(tinyUpscalerShapes(scale));
  tensors['conv_last.bias']?.data.fill(0.5);
  return tensorsOf(tensors);
}

/** The same as a `.safetensors` file, as people have them. */
export function tinyUpscalerFile(scale: 1 | 2 | 4 = 4): Promise<Blob> {
  return fileOf(tinyUpscaler(scale));
}
