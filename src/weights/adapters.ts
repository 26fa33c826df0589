import { AppError } from '#protocol/error.ts';
import { readFloat32 } from './casts.ts';
import type { LoraPart } from './lora-names.ts';
import {
  addHadamardProduct,
  addKroneckerProduct,
  addProduct,
  type Matrix,
  multiply,
  transpose,
  tuckerProduct,
} from './low-rank.ts';
import { elementCount, type TensorInfo, type TensorSource } from './tensor-source.ts';

/** One module's tensors in a file of adapters. */
export interface AdapterModule {
  /** What errors call the file. */
  lora: string;
  file: TensorSource;
  /** What errors call the module. */
  module: string;
  parts: ReadonlyMap<LoraPart, TensorInfo>;
  /** alpha / rank where no `alpha` tensor gives it. */
  scale: number;
}

/** Adds an adapter's share, times a strength, to a tensor of the model. */
export type Change = (tensor: Float32Array, strength: number) => Promise<void>;

/**
 * The changes an adapter makes to its module: low rank `(alpha / rank) · up · down` (Hu et al. 2021; with a kernel
 * between, LoCon), Hadamard and Kronecker products of such (LoHa and LoKr, Yeh et al. 2023; lycoris/modules), and
 * plain differences. One of a bias that the model's layer has none of is left out. Shapes are checked now, numbers are read
 * when a change is carried out.
 *
 * @param shapes The module's tensors in the model.
 * @throws AppError `invalid_request` when a part is missing or shapes do not fit
 */
export function adapterChanges(
  adapter: AdapterModule,
  shapes: { weight: readonly number[] | undefined; bias: readonly number[] | undefined },
): { weight: Change[]; bias: Change[] } {
  const { parts } = adapter;
  const difference = parts.get('difference');
  const biasDifference = parts.get('biasDifference');
  const kinds = KINDS.filter(([marks]) => marks.some((mark) => parts.has(mark)));
  const weight = kinds.map(([, bind]) => bind(adapter, weightSize(adapter, shapes.weight)));
  if (difference) weight.push(addition(adapter, difference, shapes.weight));
  return {
    weight,
    bias: biasDifference && shapes.bias ? [addition(adapter, biasDifference, shapes.bias)] : [],
  };
}

/** Parts that need another one, by how a pair is known. */
const PAIRS: readonly (readonly [mark: LoraPart, other: LoraPart])[] = [
  ['up', 'down'],
  ['down', 'up'],
  ['mid', 'up'],
  ['hada_w1_a', 'hada_w1_b'],
  ['hada_w1_b', 'hada_w2_a'],
  ['hada_w2_a', 'hada_w2_b'],
  ['hada_w2_b', 'hada_w1_a'],
  ['lokr_w1_a', 'lokr_w1_b'],
  ['lokr_w2_a', 'lokr_w2_b'],
];

/** A part that a module lacks; null where it has all it needs. */
export function missingPart(parts: ReadonlyMap<LoraPart, unknown>): LoraPart | null {
  const has = (...any: LoraPart[]) => any.some((part) => parts.has(part));
  const lacking = PAIRS.find(([mark, other]) => has(mark) && !has(other))?.[1];
  if (lacking !== undefined) return lacking;
  const isKronecker = [...parts.keys()].some((part) => part.startsWith('lokr_'));
  if (isKronecker && !has('lokr_w1', 'lokr_w1_a')) return 'lokr_w1';
  if (isKronecker && !has('lokr_w2', 'lokr_w2_a')) return 'lokr_w2';
  return isKronecker || has('up', 'hada_w1_a', 'difference', 'biasDifference') ? null : 'up';
}

/** A module's change as two thin matrices: weight += up · down. */
export interface LowRankFactors {
  /** `[out, rank]`, strengths and alpha / rank multiplied in. */
  up: Matrix;
  /** `[rank, in]`. */
  down: Matrix;
}

/** Reads the factors of an adapter's share, times a strength. */
export type ReadFactors = (strength: number) => Promise<LowRankFactors>;

/**
 * The change an adapter makes to a linear layer or a 1×1 convolution, whose weights are matrices, without multiplying it
 * out. Undefined for other layers, and for adapters that are more than `up · down`. Shapes are checked now, numbers are
 * read later.
 *
 * @param shape The module's weight in the model.
 * @throws AppError `invalid_request` when a part is missing or shapes do not fit
 */
export function adapterFactors(
  adapter: AdapterModule,
  shape: readonly number[] | undefined,
): ReadFactors | undefined {
  const isPlain = [...adapter.parts.keys()].every((part) => ['up', 'down', 'alpha'].includes(part));
  if (!isPlain || !shape || shape.length < 2 || elementCount(shape.slice(2)) !== 1) return undefined;
  const { rank, read } = factors(adapter, weightSize(adapter, shape), {
    left: 'up',
    right: 'down',
    core: undefined,
  });
  return async (strength) => {
    const { left, right } = await read();
    const factor = strength * (await scaleOf(adapter, rank));
    return { up: { ...left, values: left.values.map((value) => factor * value) }, down: right };
  };
}

/** A weight seen as a matrix: all but the first dimension joined. */
type Size = Omit<Matrix, 'values'>;

type Bind = (adapter: AdapterModule, size: Size) => Change;

const KINDS: readonly (readonly [marks: readonly LoraPart[], bind: Bind])[] = [
  [['up', 'down', 'mid'], lowRank],
  [['hada_w1_a', 'hada_w1_b', 'hada_w2_a', 'hada_w2_b'], hadamard],
  [['lokr_w1', 'lokr_w1_a', 'lokr_w2', 'lokr_w2_a'], kronecker],
];

function lowRank(adapter: AdapterModule, size: Size): Change {
  const product = factors(adapter, size, { left: 'up', right: 'down', core: adapter.parts.get('mid') });
  return async (weight, strength) => {
    const { left, right } = await product.read();
    addProduct(weight, left, right, strength * (await scaleOf(adapter, product.rank)));
  };
}

function hadamard(adapter: AdapterModule, size: Size): Change {
  const productOf = (n: 1 | 2) => {
    const core = adapter.parts.get(`hada_t${n}`);
    return factors(adapter, size, {
      left: `hada_w${n}_a`,
      right: `hada_w${n}_b`,
      core,
      leftIsTransposed: !!core,
    });
  };
  const a = productOf(1);
  const b = productOf(2);
  return async (weight, strength) => {
    const first = await a.read();
    const second = await b.read();
    const factor = strength * (await scaleOf(adapter, a.rank));
    addHadamardProduct(
      weight,
      multiply(first.left, first.right),
      multiply(second.left, second.right),
      factor,
    );
  };
}

function kronecker(adapter: AdapterModule, size: Size): Change {
  const a = kroneckerFactor(adapter, 'lokr_w1', undefined);
  const b = kroneckerFactor(adapter, 'lokr_w2', adapter.parts.get('lokr_t2'));
  expectSize(adapter, a.size.rows * b.size.rows * a.size.columns * b.size.columns, size);
  const rank = a.rank ?? b.rank;
  return async (weight, strength) => {
    const factor = strength * (rank === undefined ? 1 : await scaleOf(adapter, rank));
    addKroneckerProduct(weight, await a.read(), await b.read(), factor);
  };
}

/** A factor of a Kronecker product, which is stored whole or as a product of its own. */
function kroneckerFactor(
  adapter: AdapterModule,
  part: 'lokr_w1' | 'lokr_w2',
  core: TensorInfo | undefined,
): { size: Size; rank: number | undefined; read: () => Promise<Matrix> } {
  const whole = adapter.parts.get(part);
  if (whole) {
    const size = { rows: whole.shape[0] ?? 1, columns: elementCount(whole.shape.slice(1)) };
    return { size, rank: undefined, read: async () => ({ values: await readPart(adapter, whole), ...size }) };
  }
  const left = need(adapter, `${part}_a`);
  const right = need(adapter, `${part}_b`);
  const kernel = core ? elementCount(core.shape.slice(2)) : 1;
  const size = {
    rows: left.shape[core ? 1 : 0] ?? 1,
    columns: elementCount(right.shape.slice(1)) * kernel,
  };
  const { rank, read } = factors(adapter, size, {
    left: `${part}_a`,
    right: `${part}_b`,
    core,
    leftIsTransposed: !!core,
  });
  return {
    size,
    rank,
    async read() {
      const product = await read();
      return multiply(product.left, product.right);
    },
  };
}

/** Two matrices whose product has the size given, with a kernel's core between them where the file has one. */
function factors(
  adapter: AdapterModule,
  size: Size,
  names: { left: LoraPart; right: LoraPart; core: TensorInfo | undefined; leftIsTransposed?: boolean },
): { rank: number; read: () => Promise<{ left: Matrix; right: Matrix }> } {
  const { core, leftIsTransposed = false } = names;
  const left = need(adapter, names.left);
  const right = need(adapter, names.right);
  const rank = right.shape[0] ?? 1;
  const outer = core?.shape[0] ?? rank;
  const kernel = core ? elementCount(core.shape.slice(2)) : 1;
  if (core) expectSize(adapter, elementCount(core.shape), { rows: outer, columns: rank * kernel });
  expectSize(adapter, elementCount(left.shape), { rows: size.rows, columns: outer });
  expectSize(adapter, elementCount(right.shape) * kernel, { rows: rank, columns: size.columns });

  return {
    rank,
    async read() {
      const leftValues = await readPart(adapter, left);
      const rightValues = await readPart(adapter, right);
      const b: Matrix = { values: rightValues, rows: rank, columns: rightValues.length / rank };
      return {
        left: leftIsTransposed
          ? transpose({ values: leftValues, rows: outer, columns: size.rows })
          : { values: leftValues, rows: size.rows, columns: outer },
        right: core ? tuckerProduct({ values: await readPart(adapter, core), outer, kernel }, b) : b,
      };
    },
  };
}

function addition(
  adapter: AdapterModule,
  difference: TensorInfo,
  shape: readonly number[] | undefined,
): Change {
  expectSize(adapter, elementCount(difference.shape), weightSize(adapter, shape));
  return async (tensor, strength) => {
    const values = await readPart(adapter, difference);
    for (let i = 0; i < tensor.length; i++) tensor[i] = (tensor[i] ?? 0) + strength * (values[i] ?? 0);
  };
}

async function scaleOf(adapter: AdapterModule, rank: number): Promise<number> {
  const alpha = adapter.parts.get('alpha');
  if (!alpha) return adapter.scale;
  const [value = rank] = await readPart(adapter, alpha);
  return value / rank;
}

function readPart({ file }: AdapterModule, { name }: TensorInfo): Promise<Float32Array> {
  return readFloat32(file, name);
}

function need({ parts, lora, module }: AdapterModule, part: LoraPart): TensorInfo {
  const info = parts.get(part);
  if (!info) {
    throw new AppError(
      'invalid_request',
      `${lora} is incomplete: the ${part} tensor of "${module}" is missing.`,
    );
  }
  return info;
}

function weightSize({ lora, module }: AdapterModule, shape: readonly number[] | undefined): Size {
  if (!shape) {
    throw new AppError(
      'invalid_request',
      `${lora} changes a tensor of "${module}" that this model does not have.`,
    );
  }
  return { rows: shape[0] ?? 1, columns: elementCount(shape.slice(1)) };
}

function expectSize({ lora, module }: AdapterModule, count: number, { rows, columns }: Size): void {
  if (count !== rows * columns) {
    throw new AppError(
      'invalid_request',
      `${lora} was made for another kind of model: the shapes at "${module}" do not fit.`,
    );
  }
}
