import { readFloat32 } from '#weights/casts.ts';
import type { TensorSource } from '#weights/tensor-source.ts';
import { roundTo } from './steps.ts';

const SCALE = '.scale';

/**
 * A source with weights as int8 multiples of a step, in the layout `int8-channels` of src/weights/quantise.ts. Nearly all output
 * channels have the same scale: scales that follow the channels' sizes gain nothing where the levels are entropy coded.
 *
 * @param stepOf undefined for tensors that stay as they are
 */
export function quantised(source: TensorSource, stepOf: (name: string) => number | undefined): TensorSource {
  const weightOf = (name: string): { weight: string; rows: number; step: number } | undefined => {
    const weight = name.endsWith(SCALE) ? name.slice(0, -SCALE.length) : name;
    const step = stepOf(weight);
    return step === undefined ? undefined : { weight, rows: source.info(weight)?.shape[0] ?? 1, step };
  };
  return {
    *names() {
      for (const name of source.names()) {
        yield name;
        if (stepOf(name) !== undefined) yield name + SCALE;
      }
    },
    info(name) {
      const found = weightOf(name);
      if (!found) return source.info(name);
      return name === found.weight
        ? { name, type: 'int8', shape: source.info(name)?.shape ?? [] }
        : { name, type: 'float32', shape: [found.rows] };
    },
    async read(name) {
      const found = weightOf(name);
      if (!found) return source.read(name);
      const { weight, rows, step } = found;
      const { levels, scales } = roundTo({ rows, data: await readFloat32(source, weight) }, step);
      return new Uint8Array(name === weight ? levels.buffer : scales.buffer);
    },
  };
}
