import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createPhiloxGenerator } from '#engine/random/philox.ts';
import { createTorchCpuGenerator } from '#engine/random/torch-cpu.ts';
import type { ParityCase } from './case.ts';

/** What a reference file tells of one draw. */
interface Draw {
  seed: number;
  first8: number[];
  last4: number[];
}

interface RngFile {
  torch_cpu: (Draw & { shape: number[] })[];
  /** `offset` is the number of draws before this one. */
  philox: (Draw & { n: number; offset: number })[];
}

/** A few roundings of float32 at the size of normal numbers. */
const TOLERANCE = 1e-6;

/** Compares both noise generators with the draws in `rng*.json` of a folder. */
export async function* cases(folder: string): AsyncGenerator<ParityCase> {
  for (const file of (await readdir(folder)).filter((name) => /^rng.*\.json$/.test(name))) {
    const draws = JSON.parse(await readFile(join(folder, file), 'utf8')) as RngFile;
    for (const draw of draws.torch_cpu) {
      const count = draw.shape.reduce((product, side) => product * side, 1);
      const values = createTorchCpuGenerator(BigInt(draw.seed)).randn(count);
      yield compare(`rng/torch-cpu seed ${draw.seed}, ${draw.shape.join('×')}`, draw, values);
    }
    for (const draw of draws.philox) {
      const generator = createPhiloxGenerator(BigInt(draw.seed));
      for (let i = 0; i < draw.offset; i++) generator.randn(1);
      yield compare(
        `rng/philox seed ${draw.seed}, draw ${draw.offset + 1}, ${draw.n}`,
        draw,
        generator.randn(draw.n),
      );
    }
  }
}

function compare(name: string, { first8, last4 }: Draw, values: Float32Array): ParityCase {
  const drawn = [...values.subarray(0, first8.length), ...values.subarray(values.length - last4.length)];
  const error = Math.max(...[...first8, ...last4].map((value, i) => Math.abs(value - (drawn[i] ?? NaN))));
  return { name, error, tolerance: TOLERANCE, supported: true };
}
