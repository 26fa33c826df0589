import { product } from './dimension.ts';
import type { Graph, Value } from './graph.ts';
import type { NormaliseGroups } from './layers.ts';
import {
  add,
  concat,
  divide,
  multiply,
  reduce,
  relu,
  slice,
  subtract,
  upsampleNearest,
} from './operators.ts';

/**
 * Group norms of a network that sees a tile of an image at a time. They normalise by the statistics of the whole image, which
 * they know by how they differ from those of the tile, and hand over the latter. Inputs, besides the tile:
 * - `own` [1, 1, height, width], at the size of what a tile's cells are counted in: 1 where the tile's statistics count, 0 in its margin.
 * - `differences` [norms, groups, 2], of each norm's groups, in the order of the norms: the image's mean less the tile's, in
 *   deviations of the tile; and the image's deviation in those of the tile. 0 and 1 where the tile is the image.
 *
 * Output: `measured` [norms, groups, 2], the tile's mean and deviation.
 */
export class TileNorms {
  readonly #graph: Graph;
  readonly #own: Value;
  readonly #differences: Value;
  readonly #masks = new Map<number, Value>();
  readonly #measured: Value[] = [];

  constructor(graph: Graph, groups: number) {
    this.#graph = graph;
    this.#own = graph.preciseInput('own', [1, 1, 'height', 'width']);
    this.#differences = graph.preciseInput('differences', ['norms', groups, 2]);
  }

  /** The norms of what is so many times as large as `own`. */
  at(scale: number): NormaliseGroups {
    return (input, { groups, epsilon }) => this.#normalise(input, { groups, epsilon, scale });
  }

  /** Hands over what was measured. */
  finish(): void {
    this.#graph.output('measured', concat(this.#graph, this.#measured, 0));
  }

  #normalise(
    input: Value,
    { groups, epsilon, scale }: { groups: number; epsilon: number; scale: number },
  ): Value {
    const graph = this.#graph;
    const [batch = 1, channels, ...sides] = input.shape;
    const grouped = (value: Value) =>
      graph.reshape(value, [batch, groups, product([Number(channels) / groups, ...sides])]);
    // Sums of squares overflow float16.
    const precise = graph.cast(input, 'float32');
    const mask = this.#mask(scale);
    const masked = multiply(graph, precise, mask);
    const share = graph.reshape(reduce(graph, 'ReduceMean', mask, [2, 3]), [1, 1, 1]);
    const meanOf = (value: Value) => divide(graph, reduce(graph, 'ReduceMean', grouped(value), [2]), share);
    const mean = meanOf(masked);
    const square = meanOf(multiply(graph, masked, precise));
    const variance = relu(graph, subtract(graph, square, multiply(graph, mean, mean)));
    const deviation = graph.node(
      'Sqrt',
      [add(graph, variance, graph.floats([epsilon], [1], 'float32'))],
      variance,
    );
    const start = this.#measured.length;
    this.#measured.push(concat(graph, [mean, deviation], 2));
    const differences = slice(graph, this.#differences, 0, { start, end: start + 1, size: 1 });
    const pick = (column: number) =>
      slice(graph, differences, 2, { start: column, end: column + 1, size: 1 });
    const ofImage = {
      mean: add(graph, mean, multiply(graph, deviation, pick(0))),
      deviation: multiply(graph, deviation, pick(1)),
    };
    const normalised = divide(graph, subtract(graph, grouped(precise), ofImage.mean), ofImage.deviation);
    return graph.reshape(graph.cast(normalised, input.type), input.shape);
  }

  #mask(scale: number): Value {
    const known = this.#masks.get(scale);
    if (known) return known;
    const mask = scale === 1 ? this.#own : upsampleNearest(this.#graph, this.#own, scale);
    this.#masks.set(scale, mask);
    return mask;
  }
}
