import { halve, product, type Dimension } from './dimension.ts';
import type { Graph, Value } from './graph.ts';
import { add, concat, matmul, transpose } from './operators.ts';
import type { Derivation } from './weight-binder.ts';

/*
 * Winograd's minimal filtering F(2×2, 3×3) (Lavin and Gray 2015, arXiv 1509.09308): of every 4 × 4 square of the image, two
 * cells apart, 16 numbers are made, which 16 matrices, instead of the 3 × 3 kernels, turn into as many for 2 × 2 cells of the
 * result: 16 multiplications instead of 36. Written in plain operators; it pays on the CPU, whose kernels are bound by
 * arithmetic. The transformed squares take four times the image's memory, and the transformed kernels 16/9 of theirs: they are
 * made here when ONNX Runtime asks for them, for it would keep room for every step between (a third more memory).
 */

/** Square to 4 × 4. */
const IMAGE = [
  [1, 0, -1, 0],
  [0, 1, 1, 0],
  [0, -1, 1, 0],
  [0, 1, 0, -1],
];

/** 4 × 4 to 2 × 2. */
const RESULT = [
  [1, 1, 1, 0],
  [0, 1, -1, -1],
];

/** Sides with fewer channels have too little to gain. */
const FEWEST_CHANNELS = 32;

/** An end of `Slice` beyond every tensor. */
const LAST = 2 ** 31 - 1;

/** Whether {@link winogradConvolution} pays for a convolution and knows its sides. */
export function suitsWinograd({ shape }: Value, out: number): boolean {
  const [, channels = 0, ...sides] = shape;
  return Number(channels) >= FEWEST_CHANNELS && out >= FEWEST_CHANNELS && sides.every(canHalve);
}

/** What becomes of the kernels of {@link winogradConvolution}. */
export const winogradKernels: Derivation = {
  suffix: 'winograd',
  shape: ([out = 1, channels = 1]) => [16, out, channels],
  make(kernels, factors) {
    const count = kernels.length / 9;
    /** Four rows of three: the kernel after its columns were transformed. */
    const rows = new Float32Array(12);
    // Without destructuring: its arrays, seven for each kernel, were 400 MB of garbage at a start.
    for (let kernel = 0; kernel < count; kernel++) {
      for (let column = 0; column < 3; column++) {
        const at = 9 * kernel + column;
        const a = kernels[at] ?? 0;
        const b = kernels[at + 3] ?? 0;
        const c = kernels[at + 6] ?? 0;
        rows[column] = a;
        rows[column + 3] = (a + b + c) / 2;
        rows[column + 6] = (a - b + c) / 2;
        rows[column + 9] = c;
      }
      for (let row = 0; row < 4; row++) {
        const a = rows[3 * row] ?? 0;
        const b = rows[3 * row + 1] ?? 0;
        const c = rows[3 * row + 2] ?? 0;
        const at = 4 * row * count + kernel;
        factors[at] = a;
        factors[at + count] = (a + b + c) / 2;
        factors[at + 2 * count] = (a - b + c) / 2;
        factors[at + 3 * count] = c;
      }
    }
  },
};

/**
 * A 3 × 3 convolution of stride 1.
 * @param image [batch, channels, height, width]
 * @param factors [16, out, channels]: the weight through {@link winogradKernels}
 * @param wrapped the image with a border of 1 already around it, where that is not zeros
 * @returns [batch, out, height, width], without bias
 */
export function winogradConvolution(graph: Graph, image: Value, factors: Value, wrapped?: Value): Value {
  const [batch = 1, channels = 1, height = 1, width = 1] = image.shape;
  const out = factors.shape[1] ?? 1;
  const [rows, columns] = [halve(height), halve(width)];

  const squares = cutSquares(graph, wrapped ?? image, { height, width, border: wrapped ? 0 : 1 });
  const cells = product([batch, rows, columns]);
  const flat = graph.reshape(squares, [16, product([channels, cells])]);
  const transformed = matmul(graph, matrix(graph, IMAGE, natural(4), quarterByQuarter()), flat);
  const products = matmul(graph, factors, graph.reshape(transformed, [16, channels, cells]));
  const summed = matmul(
    graph,
    matrix(graph, RESULT, natural(2), natural(4)),
    graph.reshape(products, [16, product([out, cells])]),
  );
  const byCell = graph.reshape(summed, [product([4, out]), batch, rows, columns]);
  const deep = transpose(graph, byCell, [1, 0, 2, 3]);
  const even = graph.node(
    'DepthToSpace',
    [deep],
    { type: image.type, shape: [batch, out, product([2, rows]), product([2, columns])] },
    { blocksize: 2, mode: 'DCR' },
  );
  return cropTo(graph, even, [height, width]);
}

/** All squares of 4 × 4, two cells apart: [batch, 16·channels, rows, columns], quarter by quarter and cell by cell. */
function cutSquares(
  graph: Graph,
  image: Value,
  { height, width, border }: { height: Dimension; width: Dimension; border: number },
): Value {
  const [batch = 1, channels = 1] = image.shape;
  const [rows, columns] = [halve(height), halve(width)];
  const sides: [Dimension, Dimension] = [beyond(rows), beyond(columns)];
  const isEven = [height, width].every(isKnownEven);
  const padded =
    border === 0 && isEven
      ? image
      : graph.node('Pad', [image, padsOf(graph, [height, width], border)], {
          type: image.type,
          shape: [batch, channels, ...sides.map((side) => product([2, side]))],
        });
  const deep = graph.node(
    'SpaceToDepth',
    [padded],
    { type: image.type, shape: [batch, product([4, channels]), ...sides] },
    { blocksize: 2 },
  );
  const byChannel = transpose(graph, deep, [1, 0, 2, 3]);
  const end = (start: number) => (start === 0 ? -1 : LAST);
  const quarters = natural(2).map(([p, q]) =>
    cut(graph, byChannel, [rows, columns], graph.int64s([p, q]), graph.int64s([end(p), end(q)])),
  );
  return graph.node(
    'Concat',
    quarters,
    { type: image.type, shape: [product([16, channels]), batch, rows, columns] },
    { axis: 0 },
  );
}

/** The first cells of both sides, as many as are needed. */
function cropTo(graph: Graph, image: Value, sides: readonly [Dimension, Dimension]): Value {
  if (sides.every(isKnownEven)) {
    return { ...image, shape: [...image.shape.slice(0, 2), ...sides] };
  }
  const ends = sides.map((side) =>
    typeof side === 'number' ? graph.int64s([side]) : graph.sideTensor(side),
  );
  return cut(graph, image, sides, graph.int64s([0, 0]), concat(graph, ends, 0));
}

/** A part of an image's height and width, of these sides. */
function cut(graph: Graph, image: Value, sides: readonly Dimension[], starts: Value, ends: Value): Value {
  const shape = [...image.shape.slice(0, 2), ...sides];
  return graph.node('Slice', [image, starts, ends, graph.int64s([2, 3])], { type: image.type, shape });
}

/** The borders around an image of these sides, and one cell more after odd ones. */
function padsOf(graph: Graph, sides: readonly Dimension[], border: number): Value {
  const borders = graph.int64s([0, 0, border, border, 0, 0, border, border]);
  if (sides.every(isKnownEven)) return borders;
  const odd = sides.map((side) =>
    typeof side === 'number'
      ? graph.int64s([side % 2])
      : graph.node('Mod', [graph.sideTensor(side), graph.int64s([2])], { type: 'int64', shape: [1] }),
  );
  return add(graph, borders, concat(graph, [graph.int64s([0, 0, 0, 0, 0, 0]), ...odd], 0));
}

/** Whether a side is even for all values of its symbols. */
function isKnownEven(side: Dimension): boolean {
  return typeof side === 'number' ? side % 2 === 0 : /^\d*[02468]\*/.test(side);
}

/**
 * Whether half of a side has a name. Quarters of the latents stay as they are: of the built-in UNet's 4 × 4 cells Winograd's way
 * takes 1.1 to 1.3 of the time, of 8 × 8 two thirds, of 16 × 16 three quarters.
 */
function canHalve(side: Dimension): boolean {
  return typeof side === 'number' || /^(?:\w+|ceil\(\w+\/2\)|\d*[02468]\*.+)$/.test(side);
}

/** One more than a side. */
function beyond(side: Dimension): Dimension {
  return typeof side === 'number' ? side + 1 : `${side}_and_1`.replaceAll(/\W/g, '_');
}

/** Rows and columns of a square, row by row. */
function natural(side: number): (readonly [number, number])[] {
  return Array.from({ length: side ** 2 }, (_, i) => [Math.floor(i / side), i % side] as const);
}

/** Rows and columns of a square of 4 in the order of {@link cutSquares}: each quarter's cells of the four quarters in turn. */
function quarterByQuarter(): (readonly [number, number])[] {
  return natural(2).flatMap(([p, q]) => natural(2).map(([a, b]) => [2 * p + a, 2 * q + b] as const));
}

/** A transform of rows and columns at once, as a matrix from cells in the order `from` to cells in the order `to`. */
function matrix(
  graph: Graph,
  transform: readonly (readonly number[])[],
  to: readonly (readonly [number, number])[],
  from: readonly (readonly [number, number])[],
): Value {
  const values = to.flatMap(([i, j]) =>
    from.map(([row, column]) => (transform[i]?.[row] ?? 0) * (transform[j]?.[column] ?? 0)),
  );
  return graph.floats(values, [to.length, from.length]);
}
