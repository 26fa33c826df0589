import type { TensorInfo, TensorSource } from '#weights/tensor-source.ts';

/** Numbers between -1 and 1 that are the same each time (a linear congruential generator). */
export function pseudoRandom(count: number, seed = 1): Float32Array<ArrayBuffer> {
  const numbers = new Float32Array(count);
  let state = seed;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    numbers[i] = state / 2 ** 31 - 1;
  }
  return numbers;
}

/** A source that holds these float32 tensors. */
export function tensorsOf(
  tensors: Readonly<Record<string, { shape: readonly number[]; data: Float32Array<ArrayBuffer> }>>,
): TensorSource {
  return {
    names: () => Object.keys(tensors),
    info(name): TensorInfo | undefined {
      const tensor = tensors[name];
      return tensor && { name, type: 'float32', shape: tensor.shape };
    },
    read(name) {
      const tensor = tensors[name];
      return tensor
        ? Promise.resolve(new Uint8Array(tensor.data.slice().buffer))
        : Promise.reject(new Error(`There is no tensor ${name}.`));
    },
  };
}

/** Tensors of these shapes filled with small pseudo-random numbers, different for each. */
export function randomTensors(
  shapes: Readonly<Record<string, readonly number[]>>,
): Record<string, { shape: readonly number[]; data: Float32Array<ArrayBuffer> }> {
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape], index) => {
      const count = shape.reduce((product, side) => product * side, 1);
      const data = pseudoRandom(count, index + 1);
      const size = 1 / Math.sqrt(count / (shape[0] ?? 1));
      return [name, { shape, data: data.map((number) => number * size) }];
    }),
  );
}

/** Two sources as one; the first one's tensors win. */
export function joinSources(first: TensorSource, second: TensorSource): TensorSource {
  const holder = (name: string) => (first.info(name) ? first : second);
  return {
    names: () => new Set([...first.names(), ...second.names()]),
    info: (name) => holder(name).info(name),
    read: (name) => holder(name).read(name),
    location: (name) => holder(name).location?.(name),
  };
}
