import { readFloat32 } from '#weights/casts.ts';
import type { TensorSource } from '#weights/tensor-source.ts';
import { roundTo } from './steps.ts';

const SCALE = '.scale';

/**
 * A source with weights as int8 multiples of a step, in the layout `int8-channels` of src/weights/quantise.ts. Every output
 * channel has the same scale: one that follows the channel's own size gains nothing where the levels are entropy coded.
 *
 * @param stepOf undefined for tensors that stay as they are
 */
export function quantised(source: TensorSource, stepOf: (name: string) => number | undefined): TensorSource {
  const weightOf = (name: string): { weight: string; step: number } | undefined => {
    const weight = name.endsWith(SCALE) ? name.slice(0, -SCALE.length) : name;
    const step = stepOf(weight);
    return step === undefined ? undefined : { weight, step };
  };
  const channelsOf = (weight: string) => source.info(weight)?.shape[0] ?? 1;
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
        : { name, type: 'float32', shape: [channelsOf(found.weight)] };
    },
    async read(name) {
      const found = weightOf(name);
      if (!found) return source.read(name);
      const { weight, step } = found;
      const values =
        name === weight
          ? roundTo(await readFloat32(source, weight), step)
          : new Float32Array(channelsOf(weight)).fill(step);
      return new Uint8Array(values.buffer);
    },
  };
}
