import { createWriteStream } from 'node:fs';
import { once } from 'node:events';
import { finished } from 'node:stream/promises';
import { narrowToFloat16 } from '#codecs/float16.ts';
import { writeSafetensors } from '#weights/safetensors-source.ts';
import { elementCount, type TensorInfo, type TensorSource } from '#weights/tensor-source.ts';
import { readFixture } from '../support/fixtures.ts';

/** Which networks of Stable Diffusion 1.5. */
export type Part = 'unet' | 'vae' | 'text_encoder';

type Names = Record<Part, readonly (readonly [original: string, name: string, shape: readonly number[]])[]>;

/** How many different numbers a tensor has: a power of two. */
const LEVELS = 4096;

/**
 * The tensors of Stable Diffusion 1.5 under the names of the original single file, float16, with pseudo-random numbers
 * that are the same each time. Weights have the deviation of a new torch layer and norms are about the identity, so that
 * activations stay of one size through the whole network.
 */
function randomCheckpoint(parts: readonly Part[]): TensorSource {
  const { sd15 } = readFixture('checkpoint-names.json') as { sd15: Names };
  const tensors = new Map<string, TensorInfo & { seed: number }>();
  for (const [name, , shape] of parts.flatMap((part) => sd15[part]))
    tensors.set(name, { name, type: 'float16', shape, seed: tensors.size + 1 });
  return {
    names: () => tensors.keys(),
    info: (name) => tensors.get(name),
    read(name) {
      const tensor = tensors.get(name);
      return tensor
        ? Promise.resolve(randomFloat16(tensor))
        : Promise.reject(new Error(`There is no tensor ${name}.`));
    },
  };
}

/** Uniform numbers of {@link LEVELS} values around 0, or around 1 for the weights of norms. */
function randomFloat16({ name, shape, seed }: TensorInfo & { seed: number }): Uint8Array<ArrayBuffer> {
  const count = elementCount(shape);
  const isScale = shape.length === 1 && name.endsWith('.weight');
  const limit = shape.length === 1 ? 0.05 : Math.sqrt((3 * (shape[0] ?? 1)) / count);
  const levels = narrowToFloat16(
    Float32Array.from({ length: LEVELS }, (_, i) => ((2 * i + 1) / LEVELS - 1) * limit + (isScale ? 1 : 0)),
  );
  const values = new Uint16Array(count);
  // A linear congruential generator whose upper bits choose.
  let state = Math.imul(seed, 0x9e3779b1);
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    values[i] = levels[state >>> 20] ?? 0;
  }
  return new Uint8Array(values.buffer);
}

/** Writes {@link randomCheckpoint} as a safetensors file, tensor by tensor. */
export async function makeCheckpoint(file: string, parts: readonly Part[]): Promise<void> {
  const stream = createWriteStream(file);
  for await (const bytes of writeSafetensors(randomCheckpoint(parts))) {
    if (!stream.write(bytes)) await once(stream, 'drain');
  }
  stream.end();
  await finished(stream);
}
